"""One sign thousands of times: what costs its square shows, for processor time is limited here and not measured."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragkit.errors import LoadError
from ragkit.loaders.isolation import ParserPool

SIGNS = (
    *(
        "[",
        "![",
        "[a](",
        "(",
        "<<",
        "<div>",
        "<table><tr><td>",
        "<!--",
        "<a ",
        "&",
        "&#1;",
        "]]>",
        "> ",
        "* ",
        "- ",
        "1) ",
    ),
    *("# ", "#", "# a\n", "a\n=\n", "```\n", "|", "| a |\n", "=", "---\n", "_", "**", "`", "\\", "{#a", "q "),
    *(" ", "\t", "\n", " \n", "\n\n", "\r", "\f", "\v", "\xa0", "\u202e", "\u0301", "👩\u200d", "ф\u0301", "\ufb01"),
    *(
        "a",
        "я",
        "1",
        "a ",
        "a-",
        "a-\n",
        "1.",
        "1,",
        "a.",
        "А. ",
        "...",
        "!?",
        "«",
        '"',
        "[1]",
        "+7",
        "@a.",
        "http://",
        "A1",
    ),
)
RUN = 100_000
RUN_IN_MAIN = 30_000
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the system limits processor time")


@POSIX
@pytest.mark.parametrize("suffix", ["txt", "md", "html"])
def test_no_run_of_signs_costs_a_loader_its_square(suffix: str) -> None:
    """Alone and in a heading, each ends within 5 s of processor time; with the square it would be half a minute."""
    beginnings = {"txt": ["слово "], "md": ["", "# слово "], "html": ["<h1>слово "]}

    def outcome(text: str) -> str:
        try:
            pool.load(io.BytesIO(text.encode()), f"a.{suffix}")
        except LoadError as error:
            return error.code
        return ""

    with ParserPool(2, cpu_seconds=5) as pool, ThreadPoolExecutor(2) as threads:
        texts = [beginning + sign * (RUN // len(sign)) + "слово" for beginning in beginnings[suffix] for sign in SIGNS]
        late = [text[:40] for text, code in zip(texts, threads.map(outcome, texts), strict=True) if code == "timeout"]
    assert late == []


@POSIX
def test_no_run_of_signs_costs_the_main_process_its_square() -> None:
    """Cutting, words, sentences and folded forms of every run, all together within 10 s of processor time."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n"
        f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from hostile.test_long_runs import read_all; read_all()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]


def read_all() -> None:
    from ragkit import words
    from ragkit.chunking import RecursiveChunker
    from ragkit.citations.folding import fold
    from ragkit.sentences import sentences
    from ragkit.types import Document

    for sign in SIGNS:
        text = "слово " + sign * (RUN_IN_MAIN // len(sign)) + "слово"
        sys.stderr.write(f"{sign!r}\n")  # the last one is where it stopped
        RecursiveChunker()(Document("a", text))
        words.fields(text)
        words.terms(text)
        list(sentences(text))
        fold(text)
