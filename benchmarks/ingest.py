"""How well reading and embedding overlap in an indexing run.

A folder of PDF, docx and text files is made that a parser takes about as long to read as a service takes to embed:
its answers come after 100 ms, and there are as many slots as that takes. Compared in one run, interleaved, medians:
parsing alone, embedding alone, and `index_folder`, which does both and cuts, stores and commits besides. With a
perfect overlap, and at no cost of its own, all is stored as soon as the longer of the two is over; without any, when
both are. The word index of what is new is made at the end, which nothing overlaps: `index` has that too.

    python benchmarks/ingest.py
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers import embeddings, running

from ragkit.chunking import RecursiveChunker
from ragkit.loaders.isolation import ParserPool
from ragkit.positions import contextual_text
from ragkit.providers.gigachat import GigaChat
from ragkit.rag import RAG
from ragkit.store.local import LocalStore

LATENCY = 0.1
BATCH = 16
DIMENSION = 1024
PARSERS = 1  # of two processors: the other one is ours
WORDS = ["lease", "deposit", "tenant", "landlord", "month", "repair", "notice", "court", "invoice", "freight", "port"]


def sentences(chooser: random.Random, count: int) -> list[str]:
    """Sentences of which hardly two are the same."""
    return [f"{' '.join(chooser.choices(WORDS, k=11)).capitalize()} {chooser.random():.6f}." for _ in range(count)]


def pdf(chooser: random.Random, pages: int) -> bytes:
    """Pages of 40 lines in Helvetica, as few objects as a reader accepts."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for _ in range(pages):
        lines = " T* ".join(f"({line}) Tj" for line in sentences(chooser, 40))
        stream = f"BT /F1 9 Tf 40 800 Td 15 TL {lines} ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), pages)
    data, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, table) + trailer


def docx(path: Path, chooser: random.Random, paragraphs: int) -> None:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    text = "".join(f"<w:p><w:r><w:t>{' '.join(sentences(chooser, 4))}</w:t></w:r></w:p>" for _ in range(paragraphs))
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{word}"><w:body>{text}</w:body></w:document>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{part}')


def fill(folder: Path, files: int) -> None:
    """Every third file of a kind, in turns."""
    for number in range(files):
        chooser = random.Random(number)
        if number % 3 == 0:
            (folder / f"{number:04}.pdf").write_bytes(pdf(chooser, 12))
        elif number % 3 == 1:
            docx(folder / f"{number:04}.docx", chooser, 40)
        else:
            text = "\n\n".join(" ".join(sentences(chooser, 5)) for _ in range(20))
            (folder / f"{number:04}.txt").write_text(text, "utf-8")


def parse(folder: Path) -> tuple[float, list[str]]:
    """Seconds of reading all files, and the texts to be embedded, which are not in the time."""
    paths = sorted(folder.iterdir())
    with ParserPool(PARSERS) as parsers, ThreadPoolExecutor(PARSERS) as threads:

        def load(path: Path) -> object:
            with path.open("rb") as file:
                return parsers.load(file, path.name).document

        load(paths[0])  # the process is there
        began = time.perf_counter()
        documents = list(threads.map(load, paths))
        seconds = time.perf_counter() - began
    cut = RecursiveChunker()
    return seconds, [contextual_text(document.title, chunk) for document in documents for chunk in cut(document)]  # type: ignore[attr-defined,arg-type]  # what `load` gives


def service(port: int, slots: int) -> GigaChat:
    address = f"http://127.0.0.1:{port}"
    return GigaChat("a2V5OnZhbHVl", base_url=f"{address}/v1", auth_url=f"{address}/oauth", slots=slots)


def embed(port: int, slots: int, texts: list[str]) -> float:
    giga = service(port, slots)
    embedder = giga.embedder(batch_items=BATCH)
    embedder.embed_documents(texts[:1])
    began = time.perf_counter()
    embedder.embed_documents(texts)
    seconds = time.perf_counter() - began
    giga.close()
    return seconds


def index(port: int, slots: int, folder: Path, chunks: int) -> tuple[float, float]:
    """Seconds until the last document was stored, and until all was done."""
    told = [0.0]
    giga = service(port, slots)
    embedder = giga.embedder(batch_items=BATCH)
    embedder.embed_documents(["a token, a connection"])
    with tempfile.TemporaryDirectory() as place:
        store = LocalStore(Path(place) / "index")
        with RAG(store, embedder, RecursiveChunker(), lambda: ParserPool(PARSERS), max_file_size=1 << 30) as rag:
            began = time.perf_counter()
            report = rag.index_folder(folder, progress=lambda _: told.append(time.perf_counter() - began))
            seconds = time.perf_counter() - began
        assert report.complete
        assert report.embedded == chunks
    giga.close()
    return told[-1], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running(embeddings(LATENCY, BATCH, DIMENSION)) as server:
        folder = Path(place)
        fill(folder, arguments.files)
        seconds, texts = parse(folder)
        different = len(set(texts))
        slots = max(1, round(different / BATCH * LATENCY / seconds))
        print(f"{arguments.files} files, {different} chunks in batches of {BATCH}, {slots} slots")
        print(f"{'parse':>7} {'embed':>7} {'stored':>7} {'index':>7} {'stored / longer':>16} {'index / longer':>16}")
        ratios: tuple[list[float], list[float]] = ([], [])
        for _ in range(arguments.rounds):
            parsing = parse(folder)[0]
            embedding = embed(server.port, slots, texts)
            stored, indexing = index(server.port, slots, folder, different)
            longer = max(parsing, embedding)
            ratios[0].append(stored / longer)
            ratios[1].append(indexing / longer)
            seconds = " ".join(f"{each:>6.2f}s" for each in (parsing, embedding, stored, indexing))
            print(f"{seconds} {ratios[0][-1]:>16.2f} {ratios[1][-1]:>16.2f}", flush=True)
        print(f"{'medians':>31} {statistics.median(ratios[0]):>16.2f} {statistics.median(ratios[1]):>16.2f}")


if __name__ == "__main__":
    main()
