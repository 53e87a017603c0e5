"""The floors of the house: what a module may import.

A module imports from its own package or from a lower floor. The folders and modules of one package
do not import each other in a circle.

The test reads the source, so imports inside functions count as well.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
FLOORS = {
    "errors": 0,
    "names": 0,
    "config": 0,
    "metrics": 0,
    "wire": 1,
    "interfaces": 2,
    "support": 3,
    "storage": 4,
    "routing": 4,
    "gateway": 4,
    "groups": 4,
    "event_loop": 5,
    "protocols": 6,
    "backends": 6,
    "services": 7,
    "cli": 7,
    "client": 7,
}
WITH_TWISTED = FLOORS["event_loop"]
"""The lowest floor that may import Twisted."""
GROUND = {"errors", "names", "config", "metrics"}
"""The parts of the lowest floor may import each other."""
EVERYTHING = {"bench"}
"""Packages that measure all floors, and so may import them."""
TWISTED = {
    "twisted",
    "zope",
    "autobahn",
    "txredisapi",
    "treq",
    "pymysql",
    "hyperlink",
    "prometheus_client",
}


class Import(NamedTuple):
    """An import of a module by another one."""

    path: Path
    line: int
    name: str
    """The dotted name as it is written, with the name that is imported from a package."""
    module_level: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.name}"


def imports_in(source: str, path: Path) -> Iterator[Import]:
    """Yield all imports in a source, also those in functions and in ``if TYPE_CHECKING``."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, id(node) not in inside)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                yield Import(path, node.lineno, f"{base}.{alias.name}", id(node) not in inside)


def circles(found: Iterable[Import]) -> set[tuple[str, frozenset[str]]]:
    """Return each package with the neighbours in it that import each other, if only by others.

    A neighbour is a folder or a module directly in the package.
    """
    reached: dict[tuple[str, str], set[str]] = {}
    for one in found:
        origin = [*one.path.with_suffix("").parts]
        target = one.name.split(".")
        same = next(
            (n for n, (a, b) in enumerate(zip(origin, target, strict=False)) if a != b),
            min(len(origin), len(target)),
        )
        # A package that imports its own content is no neighbour of it.
        if 2 <= same < min(len(origin), len(target)) and origin[same] != "__init__":
            reached.setdefault((".".join(origin[:same]), origin[same]), set()).add(target[same])
    changed = True
    while changed:
        changed = False
        for (package, _), names in reached.items():
            further = set[str]().union(*(reached.get((package, name), ()) for name in names))
            changed |= not further <= names
            names |= further
    return {
        (package, frozenset(n for n in names if name in reached.get((package, n), ())))
        for (package, name), names in reached.items()
        if name in names
    }


def part_of(path: Path) -> str:
    """Return the package or module directly under gobelieve that the file belongs to."""
    return path.relative_to("gobelieve").with_suffix("").parts[0]


def offences(found: Import) -> Iterator[str]:
    """Yield what is wrong with an import."""
    part = part_of(found.path)
    if found.name.startswith("."):
        yield f"{found}: relative"
    if part in EVERYTHING or part == "__init__":
        return
    top, *rest = found.name.split(".")
    if top == "tests":
        yield f"{found}: a test"
    if top == "gobelieve" and rest and rest[0] != "__version__":
        other = rest[0]
        same_folder = other == part or {other, part} <= GROUND
        if other not in FLOORS:
            yield f"{found}: on no floor"
        elif FLOORS[other] > FLOORS[part]:
            yield f"{found}: a higher floor"
        elif FLOORS[other] == FLOORS[part] and not same_folder:
            yield f"{found}: sideways"
    if top in TWISTED and FLOORS[part] < WITH_TWISTED:
        yield f"{found}: below floor {WITH_TWISTED}"
    if found.name.startswith("twisted.internet.reactor") and found.module_level:
        yield f"{found}: a reactor for everybody"
    if top == "txredisapi" and (part != "backends" or found.module_level):
        yield f"{found}: it imports the reactor; only within a function of backends"


class FloorTests(SynchronousTestCase):
    """The rule of the floors, and checks that this test can fail."""

    def test_every_part_is_on_a_floor(self) -> None:
        """Every package is named in `FLOORS`."""
        parts = {part_of(path) for path in modules()}
        self.assertEqual(parts - set(FLOORS) - EVERYTHING - {"__init__"}, set())

    def test_imports(self) -> None:
        """No module imports from above or from beside it."""
        bad = [
            offence
            for path in modules()
            for found in imports_in((ROOT / path).read_text("utf-8"), path)
            for offence in offences(found)
        ]
        self.assertEqual(bad, [], "\n".join(["", *bad]))

    def test_offences_are_seen(self) -> None:
        """Each kind of offence is found, in each way of writing an import."""
        for path, source in [
            ("gateway/a.py", "from gobelieve.routing import table"),
            ("gateway/a.py", "from gobelieve import routing"),
            ("gateway/a.py", "import gobelieve.protocols.turn"),
            ("protocols/a.py", "def f():\n    from gobelieve.backends import sql"),
            ("services/a.py", "from gobelieve.client import Client"),
            ("storage/a.py", "class A:\n    def f(self):\n        import zope.interface"),
            ("support/a.py", "from twisted.internet.defer import Deferred"),
            ("support/a.py", "from gobelieve.event_loop.waiting import called_back"),
            ("event_loop/a.py", "from gobelieve.protocols import turn"),
            ("wire/a.py", "from gobelieve import interfaces"),
            ("errors.py", "from gobelieve import wire"),
            ("services/a.py", "from twisted.internet import reactor"),
            ("services/a.py", "import twisted.internet.reactor"),
            ("backends/a.py", "import txredisapi"),
            ("services/a.py", "def f():\n    import txredisapi"),
            ("wire/a.py", "from .frames import Frame"),
            ("wire/a.py", "from tests.fakes import x"),
            ("gateway/a.py", "from gobelieve.bench import load"),
        ]:
            seen = [
                offence
                for found in imports_in(source, Path("gobelieve") / path)
                for offence in offences(found)
            ]
            self.assertEqual(len(seen), 1, f"{path}: {source}: {seen}")

    def test_no_circles(self) -> None:
        """Folders and modules of one package do not import each other in a circle."""
        found = [
            one for path in modules() for one in imports_in((ROOT / path).read_text("utf-8"), path)
        ]
        self.assertEqual(circles(found), set())

    def test_circles_are_seen(self) -> None:
        """A circle of two folders, of three, and of a folder with a module, at any depth."""
        for package, names, sources in [
            (
                "gobelieve.gateway",
                {"rules", "checks"},
                {
                    "gateway/rules/a.py": "from gobelieve.gateway.checks.b import B",
                    "gateway/checks/c.py": "def f():\n    import gobelieve.gateway.rules.d",
                },
            ),
            (
                "gobelieve.storage",
                {"files", "queues", "tools"},
                {
                    "storage/files/a.py": "from gobelieve.storage.queues import b",
                    "storage/queues/b.py": "from gobelieve.storage import tools",
                    "storage/tools/c.py": "from gobelieve.storage.files.a import A",
                },
            ),
            (
                "gobelieve.protocols.http",
                {"app", "site"},
                {
                    "protocols/http/app/a.py": "from gobelieve.protocols.http.site import Site",
                    "protocols/http/site.py": "from gobelieve.protocols.http.app.b import B",
                },
            ),
        ]:
            found = [
                one
                for path, source in sources.items()
                for one in imports_in(source, Path("gobelieve") / path)
            ]
            self.assertEqual(circles(found), {(package, frozenset(names))})
            self.assertEqual(circles(found[1:]), set())

    def test_good_imports_pass(self) -> None:
        """The rule forbids no more than it should."""
        for path, source in [
            ("gateway/a.py", "from gobelieve.wire import client\nfrom gobelieve import errors"),
            ("services/a.py", "from gobelieve.gateway import session\nimport twisted"),
            ("gateway/a.py", "from gobelieve.support import backoff"),
            ("backends/a.py", "from gobelieve.event_loop import waiting"),
            ("services/a.py", "def f():\n    from twisted.internet import reactor"),
            ("backends/a.py", "def f():\n    import txredisapi"),
            ("config/a.py", "from gobelieve.errors import ConfigError"),
            ("cli/a.py", "from gobelieve import __version__"),
            ("bench/a.py", "from gobelieve.client import Client"),
        ]:
            for found in imports_in(source, Path("gobelieve") / path):
                self.assertEqual(list(offences(found)), [])


def modules() -> list[Path]:
    """Return every module of gobelieve, relative to the root of the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / "gobelieve").rglob("*.py"))
