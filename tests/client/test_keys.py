"""Keeping sync keys, and the inbox that says when."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.client import FileKeyStore, KeyMoved, KeyStore, MemoryKeyStore, MessageReceived
from gobelieve.client.waiting.inbox import Inbox
from gobelieve.errors import ConfigError
from tests.client.scripted import im


class MemoryKeyStoreTests(SynchronousTestCase):
    """In memory."""

    def test_contract(self) -> None:
        """Empty at first; the newest key of each queue; keys may go back."""
        promise(self, MemoryKeyStore())


class FileKeyStoreTests(SynchronousTestCase):
    """In a file."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "alice.key"

    def test_contract(self) -> None:
        """The same."""
        promise(self, FileKeyStore(self.path))

    def test_another_process(self) -> None:
        """Reads what the one before wrote, and adds to it."""
        FileKeyStore(self.path).save({0: 5, 3111: 7})
        store = FileKeyStore(self.path)
        self.assertEqual(store.load(), {0: 5, 3111: 7})
        store.save({0: 6})
        self.assertEqual(FileKeyStore(self.path).load(), {0: 6, 3111: 7})

    def test_whole_at_every_moment(self) -> None:
        """What is written aside and not finished is not looked at; nothing is left lying."""
        FileKeyStore(self.path).save({0: 5})
        (self.folder / "alice.key.new").write_text('{"0":')
        self.assertEqual(FileKeyStore(self.path).load(), {0: 5})
        FileKeyStore(self.path).save({0: 6})
        self.assertEqual(os.listdir(self.folder), ["alice.key"])

    def test_no_room(self) -> None:
        """Is an error, and what was kept stays."""
        store = FileKeyStore(self.path)
        store.save({0: 5})
        (self.folder / "alice.key.new").mkdir()
        with self.assertRaises(OSError):
            store.save({0: 6})
        self.assertEqual(FileKeyStore(self.path).load(), {0: 5})

    def test_another_file(self) -> None:
        """Is an error that names it, rather than a start from nothing."""
        for text in ("", "{", "[1]", '{"a": 1}', '{"0": null}'):
            self.path.write_text(text)
            with self.assertRaises(ConfigError, msg=text) as caught:
                FileKeyStore(self.path).load()
            self.assertIn(str(self.path), str(caught.exception))


def promise(test: SynchronousTestCase, store: KeyStore) -> None:
    """What every store promises."""
    test.assertEqual(store.load(), {})
    store.save({0: 1 << 52, 3111: 7})
    store.save({0: 5})
    test.assertEqual(store.load(), {0: 5, 3111: 7})


def message(content: str) -> MessageReceived:
    """One that came."""
    return MessageReceived(im(content), None, False, False)


class InboxTests(SynchronousTestCase):
    """When a key may be kept."""

    def setUp(self) -> None:
        self.inbox = Inbox()

    def test_a_batch(self) -> None:
        """Its key is reached when the user is done with its last message."""
        for event in (message("a"), message("b"), KeyMoved(110)):
            self.inbox.put(event)
        self.assertEqual(self.inbox.take(), message("a"))
        self.assertEqual(self.inbox.take(), message("b"))
        self.assertEqual(self.inbox.collect(), {})
        self.assertIsNone(self.inbox.take())
        self.assertEqual(self.inbox.collect(), {0: 110})
        self.assertEqual(self.inbox.collect(), {})

    def test_while_the_user_is_busy(self) -> None:
        """A key that comes behind a message that was taken waits for the user all the same."""
        self.inbox.put(message("a"))
        self.inbox.take()
        self.inbox.put(KeyMoved(110))
        self.assertEqual(self.inbox.collect(), {})
        self.inbox.finish()
        self.assertEqual(self.inbox.collect(), {0: 110})

    def test_without_messages(self) -> None:
        """A step over an own message is reached at once, if nothing waits before it."""
        self.inbox.put(KeyMoved(110))
        self.assertEqual(self.inbox.collect(), {0: 110})
        self.inbox.put(message("a"))
        self.inbox.put(KeyMoved(120))
        self.assertEqual((self.inbox.collect(), self.inbox.messages), ({}, 1))

    def test_several_queues(self) -> None:
        """Each has its own."""
        self.inbox.put(KeyMoved(110))
        self.inbox.put(KeyMoved(500, 3111))
        self.inbox.put(KeyMoved(120))
        self.assertEqual(self.inbox.collect(), {0: 120, 3111: 500})
