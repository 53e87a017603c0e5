"""The word filter: forbidden words in messages become asterisks.

The content of a message is JSON, and the filter searches its string ``text``. It first removes
white space and the characters ``| & % $ @ *``, so that it finds ``b a d`` as well as ``bad``. If it
finds a word, the message is sent without them, and with an ``*`` for each character of the word.

All words are searched at once (Aho-Corasick): their number hardly changes what a message costs.
"""

from collections.abc import Iterable, Sequence
from json import JSONDecoder
from typing import Any

from ahocorasick import Automaton

from gobelieve.wire.frames import CLIENT_BODY_LIMIT, TEXT
from gobelieve.wire.go_json import encode, encode_shortest, text

NOISE = "|&%$@*"
"""Characters that are removed, like white space."""
_CONTENT = 24
"""The offset of the content in a stored body."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = JSONDecoder(parse_constant=_no_number).decode


def without_noise(content: str) -> str:
    """Return the text without white space and noise, in which words are searched."""
    content = "".join(content.split())
    for character in NOISE:
        content = content.replace(character, "")
    return content


class WordFilter:
    """Replaces forbidden words; there are none before the first `use`.

    With `all_messages` it also filters messages whose client did not set the flag TEXT.
    """

    def __init__(self, all_messages: bool = False) -> None:
        self._always = all_messages
        self._find: Any = None
        self._count = 0
        self.use(())

    def __len__(self) -> int:
        """Return the number of words."""
        return self._count

    def use(self, words: Iterable[str]) -> None:
        """Filter these words from now on. Upper and lower case differ."""
        wanted = {word for word in map(without_noise, words) if word}
        every = _automaton(wanted)
        self._count = len(wanted)
        # Leave out a word whose characters are all covered by shorter words, as "aaa" by "a". It
        # would only cost time: a text of its kind has very many of them.
        self._find = _automaton(
            word for word in wanted if _spans(every, word, len(word) - 1) != [(0, len(word))]
        )

    def clean(self, body: bytes, flag: int) -> bytes:
        """Return the body of an IM or GROUP_IM as it is to be stored, mostly unchanged.

        A content that is no JSON object with a string ``text`` is not filtered.
        """
        if self._find is None or not (flag & TEXT or self._always):
            return body
        try:
            decoded = _decode(text(body[_CONTENT:]))
        except (ValueError, RecursionError):
            return body
        if type(decoded) is not dict or type(decoded.get("text")) is not str:
            return body
        searched = without_noise(decoded["text"])
        spans = _spans(self._find, searched)
        if not spans:
            return body
        decoded["text"] = _masked(searched, spans)
        content = encode(decoded)
        if _CONTENT + len(content) > CLIENT_BODY_LIMIT:
            # Escapes must not make a message too long to be stored.
            content = encode_shortest(decoded)
        return body[:_CONTENT] + content


def _automaton(words: Iterable[str]) -> Any:
    """Return a function that finds (last place, length) of each word; None without words."""
    found = Automaton()
    for word in words:
        found.add_word(word, len(word))
    if not len(found):
        return None
    found.make_automaton()
    return found.iter


def _spans(find: Any, content: str, longest: int = CLIENT_BODY_LIMIT) -> list[tuple[int, int]]:
    """Return the spans (start, end) that words up to a length cover, in order, without overlaps."""
    spans: list[tuple[int, int]] = []
    for last, length in find(content):
        if length > longest:
            continue
        start = last + 1 - length
        # Ends only grow, so the word can only touch the spans that were found last.
        while spans and spans[-1][1] >= start:
            start = min(start, spans.pop()[0])
        spans.append((start, last + 1))
    return spans


def _masked(content: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the text with an asterisk for each character in the spans."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += content[done:start], "*" * (end - start)
        done = end
    return "".join([*parts, content[done:]])
