"""What several commands take."""

import argparse

LARGEST_ID = (1 << 63) - 1


def identity(text: str) -> int:
    """The id of an app, a user or a group; argparse's error if it is none."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not an id: a number of 1 or more")
    return int(text)


def whole_number(text: str) -> int:
    """Return a number of 0 or more, at most `LARGEST_ID`; argparse's error if it is none."""
    if not text.isascii() or not text.isdigit() or int(text) > LARGEST_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)
