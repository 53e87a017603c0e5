"""The filter of forbidden words."""

import json
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.checks.word_filter import WordFilter, without_noise
from gobelieve.interfaces import Group
from gobelieve.wire import client
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, TEXT
from tests.fakes.groups import group
from tests.gateway.support import TestGateway

HEAD = bytes(range(24))


class WordFilterTests(SynchronousTestCase):
    """The content of a message before and after the filter."""

    def setUp(self) -> None:
        self.filter = WordFilter()
        self.filter.use(["bad", "wicked", "坏人"])

    def clean(self, content: bytes, flag: int = TEXT) -> bytes:
        """The content as it goes on; the head of the body stays as it is."""
        body = self.filter.clean(HEAD + content, flag)
        self.assertEqual(body[:24], HEAD)
        return body[24:]

    def said(self, said: str) -> str:
        """The text as it goes on."""
        text: str = json.loads(self.clean(json.dumps({"text": said}).encode()))["text"]
        return text

    def test_a_word_becomes_asterisks(self) -> None:
        """With what is put between its letters taken out, everywhere."""
        self.assertEqual(self.said("a b a d c"), "a***c")
        self.assertEqual(self.said("so b|a&d%, $it @is*"), "so***,itis")
        self.assertEqual(self.said("他是坏\u3000人"), "他是**")
        self.assertEqual(self.said("bad\tbad\n😀 wicked"), "******😀******")

    def test_without_a_word_nothing_changes(self) -> None:
        """Not even the blanks in the JSON; upper and lower case differ."""
        for content in (b'{"text" : "so BAD"}', b'{"text":"a b c & d"}', b'{"text":""}'):
            self.assertEqual(self.clean(content), content)

    def test_what_is_no_object_with_a_text_passes(self) -> None:
        """A content that is no JSON object, or has no text, is not changed."""
        for content in (
            *(
                b"bad",
                b"",
                b'"bad"',
                b'["bad"]',
                b'{"text":["bad"]}',
                b'{"t":"bad"}',
                b'{"text":"bad"',
            ),
            *(b'{"text":"bad","x":NaN}', b'{"text":"bad","x":' + b"[" * 30_000, b'{"text":1}'),
            *(b"null", b"\xff\xfe", b'{"text":"bad","x":' + b"9" * 5000 + b"}"),
        ):
            self.assertEqual(self.clean(content), content)

    def test_the_object_is_encoded_as_upstream_does(self) -> None:
        """Keys in order, and Go's escapes."""
        content = b'{"z": [1, 1.5], "text": "bad", "at": {"b": 1, "a": "<&>"}}'
        wanted = rb'{"at":{"a":"\u003c\u0026\u003e","b":1},"text":"***","z":[1,1.5]}'
        self.assertEqual(self.clean(content), wanted)

    def test_numbers_stay_what_they_are(self) -> None:
        """Also those that no double holds."""
        content = b'{"id":9223372036854775807,"text":"bad"}'
        self.assertEqual(self.clean(content), content.replace(b"bad", b"***"))

    def test_bytes_that_are_no_text(self) -> None:
        """Do not hide a word, nor does half a character."""
        self.assertEqual(self.clean(b'{"text":"\xff bad"}'), rb'{"text":"\ufffd***"}')
        self.assertEqual(self.clean(rb'{"text":"\ud800bad"}'), rb'{"text":"\ufffd***"}')

    def test_only_where_the_client_set_the_flag(self) -> None:
        """Unless all messages are wanted."""
        content = b'{"text":"bad"}'
        self.assertEqual(self.clean(content, 0), content)
        self.filter = WordFilter(all_messages=True)
        self.assertEqual(self.clean(content, 0), content)
        self.filter.use(["bad"])
        self.assertEqual(self.clean(content, 0), b'{"text":"***"}')

    def test_other_words(self) -> None:
        """Replace those of before; noise and empty lines in them do not matter."""
        self.filter.use(["New York", "", "  ", "*"])
        self.assertEqual(len(self.filter), 1)
        self.assertEqual(self.said("bad newyork, NewYork"), "badnewyork,*******")
        self.filter.use([])
        self.assertEqual(self.said("NewYork"), "NewYork")

    def test_words_that_overlap(self) -> None:
        """Each character of each of them."""
        self.filter.use(["abc", "cde", "b", "xyz", "yz", "zz"])
        self.assertEqual(self.said("-abcde-bcd-xyzz-yz"), "-*****-*cd-****-**")

    def test_escapes_make_no_message_too_long(self) -> None:
        """Then they are left out: JSON does not need them."""
        content = b'{"text":"bad","x":"' + b"<" * 32_000 + b'"}'
        cleaned = self.clean(content)
        self.assertEqual(cleaned, content.replace(b"bad", b"***"))
        self.assertLessEqual(len(HEAD + cleaned), CLIENT_BODY_LIMIT)

    def test_a_long_text_full_of_words_takes_no_time(self) -> None:
        """Also if the words are made of each other, which is where one could suffer."""
        self.filter.use(["a" * count for count in range(1, 300)])
        began = perf_counter()
        self.assertEqual(self.said("a" * 32_000), "*" * 32_000)
        self.assertLess(perf_counter() - began, 1.0)

    @given(
        st.lists(st.text("abc", min_size=1, max_size=4), max_size=8), st.text("abc &", max_size=30)
    )
    def test_any_words_in_any_text(self, words: list[str], said: str) -> None:
        """The filter finds the same words as a search for each word at each place."""
        self.filter = WordFilter()
        self.filter.use(words)
        plain = without_noise(said)
        marked: set[int] = set()
        for word in words:
            for start in range(len(plain)):
                if plain.startswith(word, start):
                    marked.update(range(start, start + len(word)))
        wanted = "".join("*" if n in marked else c for n, c in enumerate(plain)) if marked else said
        self.assertEqual(self.said(said), wanted)


class FilteredMessagesTests(SynchronousTestCase):
    """Messages that the filter changes, and messages that it does not."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.gateway.words.use(["bad"])
        self.alice = self.gateway.client(1)

    def stored(self) -> bytes:
        """The content of what storage was asked to keep last."""
        return client.IM.decode(self.gateway.storage.saves[-1].body).content

    def test_peer_messages(self) -> None:
        """With the flag TEXT; sender, receiver and msgid stay."""
        self.alice.say(
            client.IM(sender=1, receiver=2, msgid=9, content=b'{"text":"bad"}'), flag=TEXT
        )
        self.assertEqual(self.stored(), b'{"text":"***"}')
        said = client.IM.decode(self.gateway.storage.saves[0].body)
        self.assertEqual((said.sender, said.receiver, said.msgid), (1, 2, 9))
        self.alice.say(client.IM(sender=1, receiver=2, msgid=9, content=b'{"text":"bad"}'))
        self.assertEqual(self.stored(), b'{"text":"bad"}')

    def test_messages_of_version_0(self) -> None:
        """The body of version 0 has no timestamp when it comes; the filter still finds the text."""
        old = self.gateway.client(5, version=0)
        old.say(client.IM(sender=5, receiver=2, msgid=9, content=b'{"text":"bad"}'), flag=TEXT)
        self.assertEqual(self.stored(), b'{"text":"***"}')

    def test_group_messages(self) -> None:
        """Messages to ordinary groups and to super groups are filtered."""
        ordinary, large = group(10, 1, 2), Group(11, 7, True, {1: 2, 2: 2})
        self.gateway.groups.at_hand.update({10: ordinary, 11: large})
        for receiver in (10, 11):
            said = client.GroupIM(sender=1, receiver=receiver, msgid=9, content=b'{"text":"bad"}')
            self.alice.say(said, flag=TEXT)
        self.assertEqual(self.stored(), b'{"text":"***"}')
        (large_save,) = self.gateway.storage.group_saves
        self.assertEqual(client.GroupIM.decode(large_save.body).content, b'{"text":"***"}')

    def test_a_gateway_that_filters_all(self) -> None:
        """With `filter_all` messages without the flag TEXT are filtered too."""
        self.gateway = TestGateway(filter_all=True)
        self.gateway.words.use(["bad"])
        self.alice = self.gateway.client(1)
        self.alice.say(client.IM(sender=1, receiver=2, msgid=9, content=b'{"text":"bad"}'))
        self.assertEqual(self.stored(), b'{"text":"***"}')
