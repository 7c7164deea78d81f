"""What the commands of every day import: each module here is paid for whenever one of them starts.

A failure names the module and says what to do. The commands run without `site`, which in an editable install loads
modules of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import ragkit
import ragkit_cli
from ragkit.sandbox import Sandbox


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def named(**lists: str) -> frozenset[str]:
    """Full names out of lists below a package, whose dots are written as two underscores."""
    return frozenset(f"{top.replace('__', '.')}.{name}" for top, names in lists.items() for name in names.split())


HELP = words("ragkit ragkit_cli") | named(ragkit="errors numbers", ragkit_cli="exits hints main render")
SEARCH = HELP | named(
    ragkit="assembly embedders filters rag ranking secret services settings store types words",
    ragkit__embedders="offline",
    ragkit__settings="values",
    ragkit__store="""catalog depth inverted lexical local retrieval segments sizes sums vectors vocabulary weights
        wordindex""",
    ragkit__store__catalog="chunks conditions documents meta models pieces rows schema selection vectors",
    ragkit_cli="answers options passages",
)
ASK = SEARCH | named(
    ragkit="answers asking extractive metering positions relevance sentences tables",
    ragkit__asking="parts",
    ragkit__extractive="expected passages question",
)
ASK_A_MODEL = SEARCH | named(
    ragkit="""answers asking budget citations crew generative messages metering packing positions prompts protocols
        providers redaction sentences tables""",
    ragkit__asking="parts",
    ragkit__citations="finding folding locating markers quotes sources statements",
    ragkit__packing="sameness spans",
    ragkit__prompts="framing template wording",
    ragkit__providers="""address attempts authorization batches calls connection embedding failures gigachat http
        jsontext lengths lost multipart network openai pieces presets proof renewal retry sending slots sse stopping
        unusable wire words""",
    ragkit__providers__wire="embeddings files gigachat images models openai replies requests shapes stream tokens",
)

LIBRARIES_OF_HELP = words("click")
LIBRARIES_OF_A_SEARCH = words("click numpy tantivy Stemmer")
LIBRARIES_OF_A_MODEL = LIBRARIES_OF_A_SEARCH | words("httpcore h11 certifi orjson")
TAKEN_WHERE_INSTALLED = words("anyio trio sniffio socksio")  # by httpcore
OF_CYTHON = ("cython_runtime", "_cython_")  # what compiled modules register beside themselves

# Modules of the standard library that neither click nor numpy nor what they are used for loads.
NO_SEARCH_NEEDS = words("""
    argparse asyncio concurrent.futures csv decimal difflib email html http logging multiprocessing optparse queue
    random secrets selectors shutil signal socket ssl statistics subprocess tempfile tomllib unittest urllib.request
    xml zipfile
""")
NO_HELP_NEEDS = words("dataclasses hashlib json pathlib sqlite3") | (NO_SEARCH_NEEDS - {"shutil"})  # click measures

BARE = "import sys; before = set(sys.modules)\n"
COMMAND = """
from ragkit_cli.main import main
code = main()
print("\\n".join(["", "imported:", *(set(sys.modules) - before)]), file=sys.stderr)
sys.exit(code)
"""


def python(code: str, *arguments: object, environment: Mapping[str, str] | None = None) -> str:
    """What a program writes to stderr."""
    homes = [str(Path(package.__file__ or "").parents[1]) for package in (ragkit, ragkit_cli)]
    run = subprocess.run(
        [sys.executable, "-S", "-c", BARE + code, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join([*homes, *filter(None, sys.path)])},
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def loaded(*arguments: object, environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """The modules that a command imports, in a process of its own."""
    return words(python(COMMAND, *arguments, environment=environment).partition("\nimported:\n")[2])


def ours(modules: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in modules if name.partition(".")[0] in ("ragkit", "ragkit_cli"))


def libraries(modules: frozenset[str]) -> frozenset[str]:
    """The third-party packages among the modules."""
    tops = {name.partition(".")[0] for name in modules - ours(modules)} - sys.stdlib_module_names
    return frozenset(name for name in tops if not name.startswith(OF_CYTHON)) - TAKEN_WHERE_INSTALLED


def compare(what: str, found: frozenset[str], listed: frozenset[str]) -> None:
    """Fail with what is not as listed, and with the cure."""
    more, fewer = ", ".join(sorted(found - listed)), ", ".join(sorted(listed - found))
    cure = "import it inside the function that needs it or, where every such command does, list it"
    assert not more, f"{what} imports {more}: {cure} in {Path(__file__).name}"
    assert not fewer, f"{what} no longer imports {fewer}: take it off the list in {Path(__file__).name}"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small index, made offline."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "lease.md").write_text("# Договор\n\nАрендодатель возвращает залог в течение десяти дней.\n", "utf-8")
    with ragkit.open(folder / "index") as rag:
        rag.index_folder(folder / "lease.md")
    return folder / "index"


def test_help_imports_click_and_nothing_else() -> None:
    """`ragkit --help` costs what click costs."""
    modules = loaded("--help")
    compare("`ragkit --help`", ours(modules), HELP)
    compare("`ragkit --help`", libraries(modules), LIBRARIES_OF_HELP)
    compare("`ragkit --help`", modules & NO_HELP_NEEDS, frozenset())


@pytest.mark.parametrize("query", ["залог", "ъъъ"], ids=["found", "nothing found"])
def test_a_search_imports_what_searches(index: Path, query: str) -> None:
    """`ragkit search` loads no faiss for a small index, no parser, no service, and no other command."""
    modules = loaded("search", query, "--index", index)
    compare("`ragkit search`", ours(modules), SEARCH)
    compare("`ragkit search`", libraries(modules), LIBRARIES_OF_A_SEARCH)
    compare("`ragkit search`", modules & NO_SEARCH_NEEDS, frozenset())


def test_a_question_without_a_model_imports_what_quotes(index: Path) -> None:
    """`ragkit ask` offline is a search and what picks sentences: still no service."""
    modules = loaded("ask", "Когда возвращают залог?", "--index", index)
    compare("`ragkit ask`", ours(modules), ASK)
    compare("`ragkit ask`", libraries(modules), LIBRARIES_OF_A_SEARCH)
    compare("`ragkit ask`", modules & NO_SEARCH_NEEDS, frozenset())


def test_a_question_to_a_model_imports_one_service(index: Path, sandbox: Sandbox) -> None:
    """`ragkit ask` with a chat model adds what speaks to it, and nothing that indexes, measures or draws."""
    environment = {**sandbox.environment(), "RAGKIT_EMBED_PROVIDER": "offline"}
    modules = loaded("ask", "Когда возвращают залог?", "--index", index, environment=environment)
    compare("`ragkit ask` with a model", ours(modules), ASK_A_MODEL)
    compare("`ragkit ask` with a model", libraries(modules), LIBRARIES_OF_A_MODEL)


def test_the_face_imports_nothing_heavy() -> None:
    """`import ragkit` loads no library; a type and an error load no more than their own modules."""
    code = "import ragkit; ragkit.Hit; ragkit.RagkitError; print(*(set(sys.modules) - before), file=sys.stderr)"
    modules = words(python(code))
    compare("`import ragkit`", ours(modules), words("ragkit ragkit.errors ragkit.types"))
    compare("`import ragkit`", libraries(modules), frozenset())
    compare("`import ragkit`", modules & NO_SEARCH_NEEDS, frozenset())


def test_a_slip_is_told_with_its_cure() -> None:
    """The check itself fails for one module more, and for one fewer."""
    with pytest.raises(AssertionError, match=r"imports json: import it inside the function"):
        compare("`ragkit --help`", words("click json"), words("click"))
    with pytest.raises(AssertionError, match=r"no longer imports json: take it off"):
        compare("`ragkit --help`", words("click"), words("click json"))
