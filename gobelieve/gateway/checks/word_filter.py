"""The word filter: forbidden words in messages become asterisks.

The content of a message is JSON; what is looked into is its string ``text``. Before that, white
space and the characters ``| & % $ @ *`` are taken out, so that ``b a d`` is found as well as
``bad``. If a word is found, the text goes on without them, each character of the word an ``*``.

The words are looked for all at once (Aho-Corasick), so their number costs a message next to
nothing.
"""

from collections.abc import Iterable, Sequence
from json import JSONDecoder
from typing import Any

from ahocorasick import Automaton

from gobelieve.wire.frames import CLIENT_BODY_LIMIT, TEXT
from gobelieve.wire.go_json import encode, encode_shortest, text

NOISE = "|&%$@*"
"""Taken out, like white space."""
_CONTENT = 24
"""Where the content begins in a body as it is stored."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = JSONDecoder(parse_constant=_no_number).decode


def without_noise(said: str) -> str:
    """The text as words are looked for in it."""
    said = "".join(said.split())
    for character in NOISE:
        said = said.replace(character, "")
    return said


class WordFilter:
    """Looks for words, of which there are none until `use`.

    `all_messages`: also in messages whose client did not set the flag TEXT.
    """

    def __init__(self, all_messages: bool = False) -> None:
        self._always = all_messages
        self._find: Any = None
        self._count = 0
        self.use(())

    def __len__(self) -> int:
        """How many words there are."""
        return self._count

    def use(self, words: Iterable[str]) -> None:
        """Look for these from now on. Upper and lower case differ."""
        wanted = {word for word in map(without_noise, words) if word}
        every = _automaton(wanted)
        self._count = len(wanted)
        # A word of which shorter ones cover each character, as "aaa" where "a" is one, changes
        # nothing but the time: a text of its kind would have very many of them.
        self._find = _automaton(
            word for word in wanted if _spans(every, word, len(word) - 1) != [(0, len(word))]
        )

    def clean(self, body: bytes, flag: int) -> bytes:
        """The body of an IM or GROUP_IM as it is to be stored: mostly the one that is given.

        What is no JSON object with a string ``text`` passes as it is.
        """
        if self._find is None or not (flag & TEXT or self._always):
            return body
        try:
            said = _decode(text(body[_CONTENT:]))
        except (ValueError, RecursionError):
            return body
        if type(said) is not dict or type(said.get("text")) is not str:
            return body
        looked_into = without_noise(said["text"])
        spans = _spans(self._find, looked_into)
        if not spans:
            return body
        said["text"] = _masked(looked_into, spans)
        content = encode(said)
        if _CONTENT + len(content) > CLIENT_BODY_LIMIT:
            # Escapes must not make a message too long to be stored.
            content = encode_shortest(said)
        return body[:_CONTENT] + content


def _automaton(words: Iterable[str]) -> Any:
    """What gives (last place, length) of each word in a text; None without words."""
    found = Automaton()
    for word in words:
        found.add_word(word, len(word))
    if not len(found):
        return None
    found.make_automaton()
    return found.iter


def _spans(find: Any, said: str, longest: int = CLIENT_BODY_LIMIT) -> list[tuple[int, int]]:
    """What is covered by words up to a length, from start to end, in order and without overlaps."""
    spans: list[tuple[int, int]] = []
    for last, length in find(said):
        if length > longest:
            continue
        start = last + 1 - length
        # Ends only grow; so what this touches is what was found last.
        while spans and spans[-1][1] >= start:
            start = min(start, spans.pop()[0])
        spans.append((start, last + 1))
    return spans


def _masked(said: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with an asterisk for each character in the spans."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += said[done:start], "*" * (end - start)
        done = end
    return "".join([*parts, said[done:]])
