"""The documents name pages, headings and files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

MAX_LINE = 100
"""Characters in a line of a document. Tables may have longer lines."""


def anchor(heading: str) -> str:
    """Return the name by which a link reaches a heading on GitHub."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def prose(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the names of all headings of a page."""
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def broken(page: Path, text: str) -> Iterator[str]:
    """Yield the links and file names in a page's text that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = target.partition("#")
        if name.startswith(("http://", "https://")):
            continue
        other = page.parent / name if name else page
        if not other.exists() or (heading and heading not in anchors(other)):
            yield target
    for name in re.findall(r"`((?:gobelieve|tests|etc|docs)/[\w./-]*)`", text):
        if not (ROOT / name).exists():
            yield name


class DocumentTests(SynchronousTestCase):
    """README, CHANGES and the pages in docs/."""

    def test_links_and_files_exist(self) -> None:
        """Each link reaches a page and a heading; each file that is named is there."""
        for page in PAGES:
            self.assertEqual(list(broken(page, prose(page))), [], page.name)

    def test_a_broken_link_is_found(self) -> None:
        """A wrong page, heading or file fails the test above."""
        page = ROOT / "docs" / "glossary.md"
        text = "[a](nowhere.md) [b](cluster.md#nowhere) [c](#ack) `gobelieve/nowhere.py`"
        found = list(broken(page, text))
        self.assertEqual(found, ["nowhere.md", "cluster.md#nowhere", "gobelieve/nowhere.py"])

    def test_lines_are_short(self) -> None:
        """Every line can be read in a terminal, apart from tables."""
        for page in PAGES:
            lines = enumerate(page.read_text("utf-8").splitlines(), 1)
            long = [n for n, line in lines if len(line) > MAX_LINE and not line.startswith("|")]
            self.assertEqual(long, [], page.name)

    def test_the_glossary_is_in_alphabetical_order(self) -> None:
        """A reader finds a word without searching the whole page."""
        text = prose(ROOT / "docs" / "glossary.md")
        words = re.findall(r"^## (.+)$", text, re.MULTILINE)
        self.assertGreater(len(words), 50)
        self.assertEqual(words, sorted(words, key=lambda word: re.sub(r"\W", " ", word.lower())))
