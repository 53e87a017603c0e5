"""Stores for sync keys, and the inbox that says when a key may be stored."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.client import FileKeyStore, KeyMoved, KeyStore, MemoryKeyStore, MessageReceived
from gobelieve.client.waiting.inbox import Inbox
from gobelieve.errors import ConfigError
from tests.client.scripted import im


class MemoryKeyStoreTests(SynchronousTestCase):
    """Keys in memory."""

    def test_contract(self) -> None:
        """The store is empty at first, and returns the last key of each queue."""
        check_contract(self, MemoryKeyStore())


class FileKeyStoreTests(SynchronousTestCase):
    """Keys in a file."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "alice.key"

    def test_contract(self) -> None:
        """The store is empty at first, and returns the last key of each queue."""
        check_contract(self, FileKeyStore(self.path))

    def test_another_process(self) -> None:
        """A new process reads the keys of the one before, and adds to them."""
        FileKeyStore(self.path).save({0: 5, 3111: 7})
        store = FileKeyStore(self.path)
        self.assertEqual(store.load(), {0: 5, 3111: 7})
        store.save({0: 6})
        self.assertEqual(FileKeyStore(self.path).load(), {0: 6, 3111: 7})

    def test_an_unfinished_file_is_ignored(self) -> None:
        """An unfinished new file is ignored, and no other file stays behind."""
        FileKeyStore(self.path).save({0: 5})
        (self.folder / "alice.key.new").write_text('{"0":')
        self.assertEqual(FileKeyStore(self.path).load(), {0: 5})
        FileKeyStore(self.path).save({0: 6})
        self.assertEqual(os.listdir(self.folder), ["alice.key"])

    def test_no_room(self) -> None:
        """A full disk is an error, and the stored keys stay."""
        store = FileKeyStore(self.path)
        store.save({0: 5})
        (self.folder / "alice.key.new").mkdir()
        with self.assertRaises(OSError):
            store.save({0: 6})
        self.assertEqual(FileKeyStore(self.path).load(), {0: 5})

    def test_another_file(self) -> None:
        """A file of another kind is an error that names it. The store does not begin empty."""
        for text in ("", "{", "[1]", '{"a": 1}', '{"0": null}'):
            self.path.write_text(text)
            with self.assertRaises(ConfigError, msg=text) as caught:
                FileKeyStore(self.path).load()
            self.assertIn(str(self.path), str(caught.exception))


def check_contract(test: SynchronousTestCase, store: KeyStore) -> None:
    """Check the contract of every store."""
    test.assertEqual(store.load(), {})
    store.save({0: 1 << 52, 3111: 7})
    store.save({0: 5})
    test.assertEqual(store.load(), {0: 5, 3111: 7})


def message(content: str) -> MessageReceived:
    """Return a received message."""
    return MessageReceived(im(content), None, False, False)


class InboxTests(SynchronousTestCase):
    """The moment at which a key may be stored."""

    def setUp(self) -> None:
        self.inbox = Inbox()

    def test_a_batch(self) -> None:
        """The key of a batch is reached when the program has finished its last message."""
        for event in (message("a"), message("b"), KeyMoved(110)):
            self.inbox.put(event)
        self.assertEqual(self.inbox.take(), message("a"))
        self.assertEqual(self.inbox.take(), message("b"))
        self.assertEqual(self.inbox.collect(), {})
        self.assertIsNone(self.inbox.take())
        self.assertEqual(self.inbox.collect(), {0: 110})
        self.assertEqual(self.inbox.collect(), {})

    def test_a_key_after_an_unfinished_message(self) -> None:
        """A key after an unfinished message waits for the program."""
        self.inbox.put(message("a"))
        self.inbox.take()
        self.inbox.put(KeyMoved(110))
        self.assertEqual(self.inbox.collect(), {})
        self.inbox.finish()
        self.assertEqual(self.inbox.collect(), {0: 110})

    def test_without_messages(self) -> None:
        """A key after an own message is reached at once, if no message waits before it."""
        self.inbox.put(KeyMoved(110))
        self.assertEqual(self.inbox.collect(), {0: 110})
        self.inbox.put(message("a"))
        self.inbox.put(KeyMoved(120))
        self.assertEqual((self.inbox.collect(), self.inbox.messages), ({}, 1))

    def test_several_queues(self) -> None:
        """Each queue has its own key."""
        self.inbox.put(KeyMoved(110))
        self.inbox.put(KeyMoved(500, 3111))
        self.inbox.put(KeyMoved(120))
        self.assertEqual(self.inbox.collect(), {0: 120, 3111: 500})
