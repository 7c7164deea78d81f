"""A folder of PDFs and docx to a saved index, without the cost of embedding: each way as its documentation says.

The files are generated. Every page and paragraph holds a word that stands nowhere else, so that text which a loader
loses is counted. Embedders hand over noise.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.machine import cpu_seconds, environment
from benchmarks.suite.rounds import ROOT

Texts = Callable[[], list[str]]  # what was indexed, looked at after the clock is stopped
DIMENSION = 256
PAGES, LINES, PARAGRAPHS = 20, 40, 100
_SYLLABLES = ["ra", "to", "ne", "li", "sa", "do", "ve", "mi", "po", "ku", "den", "lor", "tis"]


def measure(
    peers: str, folder: Path, rounds: int, threads: int, say: Callable[[str], None], *, small: bool = False
) -> dict[str, Any]:
    """Each way in a process of its own, in turns; files and pages are told with it."""
    shutil.rmtree(folder, ignore_errors=True)
    files = 5 if small else 50
    marks = write_files(folder / "files", files)
    found: dict[str, Any] = {"pdf": files, "pages": files * PAGES, "docx": files, "ways": {}}
    for turn in range(rounds):
        for way in sorted(WAYS, key=lambda name: (name != "ragkit", name), reverse=bool(turn % 2)):
            say(f"ingest: {way}, {turn + 1} of {rounds}")
            python = sys.executable if way == "ragkit" else peers
            if shutil.which(python) is None:
                found["ways"][way] = {"seconds": [], "cpu": [], "state": f"not installed: there is no {python}"}
                continue
            out = folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            command = [python, "-m", "benchmarks.suite.ingest", way, str(folder / "files"), str(out)]
            variables = environment(threads) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}
            done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
            here = found["ways"].setdefault(way, {"seconds": [], "cpu": []})
            if done.returncode:
                here["state"] = (done.stderr.strip().splitlines() or ["it failed"])[-1]
                continue
            said = json.loads(done.stdout.splitlines()[-1])
            here["seconds"].append(said["seconds"])
            here["cpu"].append(said["cpu"])
            here |= {
                "chunks": said["chunks"],
                "kept": len(marks & set(said["marks"])) / len(marks),
            }
    shutil.rmtree(folder)
    return found


def write_files(folder: Path, count: int) -> set[str]:
    """As many PDFs and docx; the words that each page and paragraph holds alone."""
    import docx

    sys.path.insert(0, str(ROOT / "tests"))  # its writer of small PDFs serves the tests first
    from loader_files import pdf

    folder.mkdir(parents=True)
    chance, marks = random.Random(3), set()
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))) for _ in range(5_000)]

    def line(mark: str, length: int) -> str:
        marks.update([mark] if mark else [])
        return " ".join([*([mark] if mark else []), *chance.choices(words, k=length)]).capitalize() + "."

    for number in range(count):
        pages = [[line(f"zp{number}x{page}q" if not at else "", 11) for at in range(LINES)] for page in range(PAGES)]
        (folder / f"{number:03}.pdf").write_bytes(pdf(pages))
        document = docx.Document()
        for at in range(PARAGRAPHS):
            if not at % 10:
                document.add_heading(line("", 4), level=1)
            document.add_paragraph(line(f"zd{number}x{at}q", 40))
        document.save(str(folder / f"{number:03}.docx"))
    return marks


def _noise(texts: Iterable[str]) -> np.ndarray[Any, Any]:
    """(n, d), the same for the same text."""
    seeds = [sum(text[:64].encode()) * 31 + len(text) for text in texts]
    rows = [np.random.default_rng(seed).standard_normal(DIMENSION, np.float32) for seed in seeds]
    return np.stack(rows) if rows else np.zeros((0, DIMENSION), np.float32)


def by_ragkit(files: Path, out: Path) -> Texts:
    import ragkit

    class Noise:
        model = "noise/1"

        def embed_documents(self, texts: Any) -> Any:
            return _noise(texts)

        def embed_query(self, text: str) -> Any:
            return _noise([text])[0]

    with ragkit.open(out, embedder=Noise(), provider="offline") as rag:
        report = rag.index_folder(files)
        if report.failed:
            raise RuntimeError(f"{report.failed} files failed")
        global _chunks
        _chunks = report.embedded + report.reused
    return lambda: _stored(out)


def _stored(index: Path) -> list[str]:
    import ragkit

    with ragkit.open(index, provider="offline") as rag:
        return [rag.document(info.source).text for info in rag.documents()]


def by_langchain(files: Path, out: Path) -> Texts:
    from langchain_community.document_loaders import Docx2txtLoader, PyPDFLoader
    from langchain_community.vectorstores import FAISS
    from langchain_core.embeddings import Embeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Noise(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return _noise(texts).tolist()

        def embed_query(self, text: str) -> list[float]:
            return _noise([text])[0].tolist()

    documents = []
    for path in sorted(files.iterdir()):
        loader = PyPDFLoader(str(path)) if path.suffix == ".pdf" else Docx2txtLoader(str(path))
        documents += loader.load()
    chunks = RecursiveCharacterTextSplitter(chunk_size=800, chunk_overlap=200).split_documents(documents)
    FAISS.from_documents(chunks, Noise()).save_local(str(out))
    return lambda: [chunk.page_content for chunk in chunks]


def by_llamaindex(files: Path, out: Path) -> Texts:
    import faiss
    from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.vector_stores.faiss import FaissVectorStore

    class Noise(BaseEmbedding):
        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return _noise(texts).tolist()

        def _get_text_embedding(self, text: str) -> list[float]:
            return _noise([text])[0].tolist()

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    documents = SimpleDirectoryReader(str(files)).load_data()
    storage = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss_index=faiss.IndexFlatL2(DIMENSION)))
    nodes = SentenceSplitter().get_nodes_from_documents(documents)
    index = VectorStoreIndex(nodes, storage_context=storage, embed_model=Noise(embed_batch_size=2048))
    index.storage_context.persist(persist_dir=str(out))
    return lambda: [node.get_content() for node in nodes]


WAYS: dict[str, Callable[[Path, Path], Texts]] = {
    "ragkit": by_ragkit,
    "langchain": by_langchain,
    "llamaindex": by_llamaindex,
}
_chunks = 0  # where texts are not chunks


def main() -> None:
    way, files, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    began, cpu = time.perf_counter(), cpu_seconds()
    read = WAYS[way](files, out)  # with what it imports
    taken = {"seconds": time.perf_counter() - began, "cpu": cpu_seconds() - cpu}
    texts = read()
    marks = {
        word for text in texts for word in text.lower().split() if word.startswith(("zp", "zd")) and word[-1] == "q"
    }
    print(json.dumps({**taken, "chunks": _chunks or len(texts), "marks": sorted(marks)}))


if __name__ == "__main__":
    main()
