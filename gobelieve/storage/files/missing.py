"""Finding blocks that are missing between others, as after a mistake of an operator."""

import itertools
from collections.abc import Callable

from gobelieve.storage.format.records import skipped_of


def missing_blocks(numbers: list[int], header_of: Callable[[int], bytes]) -> list[range]:
    """Return the numbers of the blocks that are missing between others, as ranges.

    Numbers that the header of the next block skips are not missing. `numbers` ascend.
    """
    missing = []
    for before, number in itertools.pairwise(numbers):
        if number > before + 1:
            skipped = skipped_of(header_of(number)) or 0
            if before + 1 < number - skipped:
                missing.append(range(before + 1, number - skipped))
    return missing
