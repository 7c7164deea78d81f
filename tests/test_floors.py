"""The house stands on its floors: a module imports only from the floors below it, or from its own folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the ground up; names are prefixes
    ["ragkit.types", "ragkit.secret"],
    ["ragkit.errors", "ragkit.redaction", "ragkit.numbers"],
    ["ragkit.answers", "ragkit.reports", "ragkit.messages", "ragkit.metering", "ragkit.budget", "ragkit.crew"],
    # what is pure: text, conditions, positions, scores
    ["ragkit.settings", "ragkit.words", "ragkit.sentences", "ragkit.tables", "ragkit.filters", "ragkit.positions"],
    [
        "ragkit.protocols",
        "ragkit.chunking",
        "ragkit.ranking",
        "ragkit.forecast",
        "ragkit.prompts",
        "ragkit.citations",
    ],
    ["ragkit.relevance"],  # judges by what ranking measures
    # what fills the seams
    [
        "ragkit.loaders",
        "ragkit.folders",
        "ragkit.embedders",
        "ragkit.store",
        "ragkit.providers",
        "ragkit.uploads",
        "ragkit.packing",
        "ragkit.functions",
    ],
    ["ragkit.rerankers"],  # fills a seam too, by way of a service
    [
        "ragkit.roots",
        "ragkit.intake",
        "ragkit.embedding_run",
        "ragkit.extractive",
        "ragkit.generative",
        "ragkit.packing",
    ],
    ["ragkit.survey", "ragkit.file_reports"],  # what a folder holds, and what became of it
    ["ragkit.ingest", "ragkit.reembedding", "ragkit.mending", "ragkit.evaluation", "ragkit.routing", "ragkit.dialogue"],
    ["ragkit.asking"],
    ["ragkit.rag"],
    ["ragkit.services"],
    ["ragkit.assembly"],
    ["ragkit"],  # the face: __init__.py hands names on
    ["ragkit_cli", "ragkit.testing"],
]
APART = "ragkit.sandbox"  # speaks the wire format from the other side: it shares nothing, so no mistakes either
DOORS_OF_THE_SANDBOX = ("ragkit_cli", "ragkit.testing")
DOORS = {  # third-party library -> where it may enter; a folder's own one file is checked below
    "click": "ragkit_cli",
    "rich": "ragkit_cli.progress",
    "tantivy": "ragkit.store.inverted",
    "faiss": "ragkit.store",
    "pypdfium2": "ragkit.loaders",
    "pypdf": "ragkit.loaders",
    "docx": "ragkit.loaders",
    "lxml": "ragkit.loaders",
    "httpcore": "ragkit.providers.network",
    "certifi": "ragkit.providers.tls",
    "matplotlib": "ragkit.evaluation.png",
    "orjson": "ragkit.providers.jsontext",
    "Stemmer": "ragkit.words",
}
MANY_FILES = {"click", "lxml"}  # click: every command; lxml: docx and html


def modules() -> dict[str, Path]:
    found = {}
    for base, top in ((ROOT, "ragkit"), (ROOT / "cli", "ragkit_cli")):
        for path in sorted((base / top).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """Every name that the file imports, lazily or for types only too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else str(node.module))
    return names


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room_of(name: str) -> tuple[int, str]:
    """The floor and the room that a module stands in: the longest prefix wins."""
    rooms = [(height, room) for height, floor in enumerate(FLOORS) for room in floor]
    return max(
        ((height, room) for height, room in rooms if name == room or name.startswith(f"{room}.")),
        key=lambda found: len(found[1]),
    )


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in ("ragkit", "ragkit_cli")}


def is_apart(name: str) -> bool:
    return name == APART or name.startswith(f"{APART}.")


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("ragkit.") and not is_apart(name)])
def test_every_module_has_a_floor(name: str) -> None:
    """A new module is given its place in FLOORS; it does not slip in under the roof."""
    assert room_of(name)[1] != "ragkit"


@pytest.mark.parametrize("name", [name for name in MODULES if not is_apart(name)])
def test_imports_point_down(name: str) -> None:
    """A module imports from lower floors or from its own room, lazy imports included."""
    height, room = room_of(name)
    upward = []
    for target in sorted(ours(IMPORTS[name])):
        there, other = (len(FLOORS), APART) if is_apart(target) else room_of(target)
        if other != room and there >= height and not (is_apart(target) and room in DOORS_OF_THE_SANDBOX):
            upward.append(f"{target} (floor {there})")
    assert not upward, f"{name} (floor {height}) imports upwards"


@pytest.mark.parametrize("name", [name for name in MODULES if is_apart(name)] or [APART])
def test_the_sandbox_shares_nothing(name: str) -> None:
    """The sandbox imports nothing of ragkit, so that it cannot share the client's mistakes."""
    assert not {target for target in ours(IMPORTS.get(name, set())) if not is_apart(target)}


def test_no_module_can_reach_itself() -> None:
    """There is no import cycle, lazy imports included."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for target in sorted(ours(IMPORTS[name]) & set(MODULES)):
                visit(target, (*above, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("library", DOORS)
def test_each_library_enters_by_one_door(library: str) -> None:
    """A third-party library is imported in its own place, most of them in one file only."""
    users = [name for name, targets in IMPORTS.items() if any(t.split(".")[0] == library for t in targets)]
    strays = [name for name in users if name != DOORS[library] and not name.startswith(f"{DOORS[library]}.")]
    assert not strays
    assert len(users) <= (3 if library == "lxml" else len(MODULES) if library in MANY_FILES else 1), users


def test_numbers_stay_out_of_the_ground_floor() -> None:
    """numpy is not needed to read the types, the errors, the settings or the face, so help does not pay for it."""
    runtime = {}
    for name in ("ragkit", "ragkit.types", "ragkit.errors", "ragkit.settings"):
        tree = ast.parse(MODULES[name].read_text("utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        runtime[name] = [ast.unparse(node) for node in top if "numpy" in ast.unparse(node)]
    assert not any(runtime.values()), runtime
