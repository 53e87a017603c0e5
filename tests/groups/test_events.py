"""The two forms of what the app's server announces about groups."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.groups.events import CHANNELS, Event, parse_entered, parse_published

LARGEST = (1 << 63) - 1


def fields(text: str) -> dict[bytes, bytes]:
    """Of an entry, from the words of an XADD."""
    words = text.encode().split()
    return dict(zip(words[::2], words[1::2], strict=True))


class PublishedTests(SynchronousTestCase):
    """Messages of the channels of 2018."""

    def test_each_kind(self) -> None:
        """As upstream's API server publishes it."""
        for channel, content, event in [
            ("group_create", b"41:42:100,7,0", Event(41, 42, "group_create", 100)),
            ("group_member_add", b"42:43:100,1001", Event(42, 43, "group_member_add", 100, 1001)),
            ("group_member_remove", b"1:2:5,9", Event(1, 2, "group_member_remove", 5, 9)),
            ("group_member_mute", b"1:2:5,9,1", Event(1, 2, "group_member_mute", 5, 9, True)),
            ("group_member_mute", b"1:2:5,9,0", Event(1, 2, "group_member_mute", 5, 9, False)),
            ("group_upgrade", b"44:45:100,7,1", Event(44, 45, "group_upgrade", 100)),
            ("group_disband", b"45:46:100", Event(45, 46, "group_disband", 100)),
            ("group_disband", b"0:1:%d" % LARGEST, Event(0, 1, "group_disband", LARGEST)),
        ]:
            self.assertEqual(parse_published(channel, content), event)

    def test_what_makes_no_sense_is_told(self) -> None:
        """Whatever is wrong with it."""
        self.assertEqual(len(CHANNELS), 6)
        for channel, content in [
            ("group_member_add", b""),
            ("group_member_add", b"100,1001"),
            ("group_member_add", b"1:2"),
            ("group_member_add", b"1:2:"),
            ("group_member_add", b"1:2:100"),
            ("group_member_add", b"1:2:100,1001,3"),
            ("group_member_add", b"1:2:100,"),
            ("group_member_add", b"1:2:100,x"),
            ("group_member_add", b"1:2:100,1 "),
            ("group_member_add", b"1:2:100,+1"),
            ("group_member_add", b"1:2:0,1"),
            ("group_member_add", b"1:2:1,0"),
            ("group_member_add", b"1:2:1,-0"),
            ("group_member_add", b"x:2:100,1"),
            ("group_member_add", b":2:100,1"),
            ("group_member_add", b"1:2:3:100,1"),
            ("group_member_add", b"1:2:%d,1" % (LARGEST + 1)),
            ("group_member_add", b"1:2:100,1\n"),
            ("group_member_add", b"1:2:100,\xd9\xa1"),
            ("group_member_mute", b"1:2:100,1,2"),
            ("group_upgrade", b"1:2:100,7,0"),
            ("group_disband", b"1:2:0"),
            ("group_changed", b"1:2:100"),
            ("", b"1:2:100"),
        ]:
            self.assertRaises(BodyError, parse_published, channel, content)


class EnteredTests(SynchronousTestCase):
    """Entries of the stream of 2019."""

    def test_each_kind(self) -> None:
        """As upstream's API server enters it, with fields that do not matter."""
        ids = " previous_action_id 3 action_id 4"
        for text, event in [
            ("name group_create group_id 5 app_id 7 super 0", Event(3, 4, "group_create", 5)),
            ("name group_disband group_id 5", Event(3, 4, "group_disband", 5)),
            ("name group_upgrade group_id 5 app_id 7 super 1", Event(3, 4, "group_upgrade", 5)),
            ("name group_upgrade group_id 5", Event(3, 4, "group_upgrade", 5)),
            ("name group_changed group_id 5", Event(3, 4, "group_changed", 5)),
            (
                "group_id 5 member_id 9 name group_member_add",
                Event(3, 4, "group_member_add", 5, 9),
            ),
            (
                "name group_member_remove group_id 5 member_id 9",
                Event(3, 4, "group_member_remove", 5, 9),
            ),
            (
                "name group_member_mute group_id 5 member_id 9 mute 1",
                Event(3, 4, "group_member_mute", 5, 9, True),
            ),
            (
                "name group_member_mute group_id 5 member_id 9 mute 0",
                Event(3, 4, "group_member_mute", 5, 9, False),
            ),
            ("name group_of_2031 group_id 5", Event(3, 4, "group_of_2031", 5)),
        ]:
            self.assertEqual(parse_entered(fields(text + ids)), event)

    def test_what_makes_no_sense_is_told(self) -> None:
        """A field that is missing, or is no number."""
        good = "name group_member_mute group_id 5 member_id 9 mute 1"
        good += " previous_action_id 3 action_id 4"
        parse_entered(fields(good))
        for name in fields(good):
            without = {k: v for k, v in fields(good).items() if k != name}
            self.assertRaises(BodyError, parse_entered, without)
            if name != b"name":
                for bad in (b"", b"x", b"1.0", b"%d" % (LARGEST + 1)):
                    self.assertRaises(BodyError, parse_entered, without | {name: bad})
        for name in (b"group_id", b"member_id"):
            self.assertRaises(BodyError, parse_entered, fields(good) | {name: b"0"})
        self.assertRaises(BodyError, parse_entered, fields(good) | {b"mute": b"2"})
        down = "name group_upgrade group_id 5 super 0 previous_action_id 3 action_id 4"
        self.assertRaises(BodyError, parse_entered, fields(down))
        self.assertRaises(BodyError, parse_entered, {})
