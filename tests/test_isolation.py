"""One bad file costs one file: limits, crashes and the pool's own death."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loader_files import FORMS, docx, p, pdf, pdf_of_contents, text_flood

from ragkit.errors import LoadError, UnreadableDocument, UnsupportedFormat
from ragkit.loaders import load
from ragkit.loaders.frames import LENGTHS, check_lengths, pack, unpack
from ragkit.loaders.isolation import ParserPool
from ragkit.loaders.limits import DEFAULT_LIMITS
from ragkit.reports import Loaded, Problem
from ragkit.types import Document, Heading

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits are set where fork exists")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and needs RLIMIT_AS to work")
GOOD = {
    "a.txt": "Привет, мир".encode("cp1251"),
    "b.md": "# Заголовок\n\nтекст".encode(),
    "c.html": b"<h1>Title</h1><p>text</p>",
    "d.pdf": pdf([["Первая"], ["Вторая"]], outline=[("Вторая", 2)]),
    "e.docx": docx(p("Пункт", '<w:outlineLvl w:val="0"/>') + p("текст")),
}
SELF_DRAWING = pdf_of_contents(["/Me Do"], extra=FORMS)


@pytest.mark.parametrize("fork", [pytest.param(True, marks=forking), False])
def test_every_format_comes_back_as_it_is_in_this_process(fork: bool) -> None:
    """The process boundary changes nothing: text, pages, headings, metadata, notes are equal."""
    with ParserPool(1, fork=fork) as pool:
        for source, data in GOOD.items():
            assert pool.load(io.BytesIO(data), source) == load(io.BytesIO(data), source)


@pytest.mark.parametrize("fork", [pytest.param(True, marks=forking), False])
def test_a_reason_and_its_cure_come_back(fork: bool) -> None:
    """What a loader raises is raised here, with its class, code and hint."""
    with ParserPool(1, fork=fork) as pool:
        with pytest.raises(UnreadableDocument) as caught:
            pool.load(io.BytesIO(b""), "empty.txt")
        assert (caught.value.code, bool(caught.value.hint)) == ("empty", True)
        with pytest.raises(UnsupportedFormat, match=r"\.doc is not supported"):
            pool.load(io.BytesIO(b"x"), "old.doc")
        assert pool.load(io.BytesIO(b"next"), "next.txt").document.text == "next"


def test_files_are_read_by_descriptor_from_their_start(tmp_path: Path) -> None:
    """An open file and a bare descriptor serve, wherever they stand."""
    path = tmp_path / "a.txt"
    path.write_text("начало и конец", encoding="utf-8")
    with ParserPool(1) as pool, path.open("rb") as file:
        file.read(5)
        assert pool.load(file, "a.txt").document.text == "начало и конец"
        assert pool.load(file.fileno(), "a.txt").document.text == "начало и конец"


@linux
def test_memory_is_limited_and_the_second_parser_may_still_read() -> None:
    """A form that draws itself takes pdfium all memory: its process dies, pypdf's text or a reason remains."""
    with ParserPool(1, memory=400 << 20) as pool:
        with pytest.raises(UnreadableDocument):
            pool.load(io.BytesIO(SELF_DRAWING), "self.pdf")
        text = pdf_of_contents(["BT /F1 12 Tf 50 700 Td (survives) Tj ET /Me Do"], extra=FORMS)
        loaded = pool.load(io.BytesIO(text), "self.pdf")
        assert "survives" in loaded.document.text
        assert "of 400 MiB of memory and ended (SIGABRT)" in loaded.notes[0]
        assert pool.load(io.BytesIO(GOOD["d.pdf"]), "d.pdf").document.page_starts


@forking
def test_cpu_time_is_limited_by_name() -> None:
    """Two kilobytes that draw text for hours end as a timeout with a cure, and the next file is read."""
    with ParserPool(1, cpu_seconds=1, memory=4 << 30) as pool:
        with pytest.raises(UnreadableDocument, match="more than 1 s of CPU time") as caught:
            pool.load(io.BytesIO(text_flood()), "flood.pdf")
        assert (caught.value.code, bool(caught.value.hint)) == ("timeout", True)
        assert pool.load(io.BytesIO(GOOD["a.txt"]), "a.txt").document.text == "Привет, мир"


@pytest.mark.parametrize("fork", [pytest.param(True, marks=forking), False])
def test_wall_time_is_limited_by_name(fork: bool) -> None:
    """The clock on the wall counts too, with and without fork."""
    with ParserPool(1, wall_seconds=1.5, cpu_seconds=60, memory=4 << 30, fork=fork) as pool:
        with pytest.raises(UnreadableDocument, match=r"more than 1\.5 s in all") as caught:
            pool.load(io.BytesIO(text_flood()), "flood.pdf")
        assert caught.value.code == "timeout"
        assert pool.load(io.BytesIO(GOOD["a.txt"]), "a.txt").document.text == "Привет, мир"


def test_text_and_pages_are_limited_by_name() -> None:
    """More text or pages than allowed is a reason, in every format."""
    with ParserPool(1, text_bytes=1000, pages=3) as pool:
        for source, data in {"a.txt": b"a" * 1001, "a.md": b"a" * 1001, "c.html": b"<p>" + b"a" * 1001}.items():
            with pytest.raises(UnreadableDocument, match="1\u202f000 bytes of text") as caught:
                pool.load(io.BytesIO(data), source)
            assert caught.value.code == "too_large"
        with pytest.raises(UnreadableDocument, match="4 pages, the limit is 3"):
            pool.load(io.BytesIO(pdf([["x"]] * 4)), "d.pdf")


def children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


@linux
def test_a_killed_process_is_replaced() -> None:
    """When the parser process itself is killed between documents, the next document does not notice."""
    with ParserPool(1) as pool:
        pool.load(io.BytesIO(GOOD["a.txt"]), "a.txt")
        (first,) = children()
        os.kill(first, signal.SIGKILL)
        assert pool.load(io.BytesIO(GOOD["a.txt"]), "a.txt").document.text == "Привет, мир"
        assert children() not in ([], [first])


@linux
def test_a_process_outlives_its_documents_however_large_the_program_is() -> None:
    """Only its own memory retires a parser process: a program of 350 MB does not pay for a start with each file."""
    ballast = bytearray(b"x") * (350 << 20)
    with ParserPool(1) as pool:
        pool.load(io.BytesIO(GOOD["a.txt"]), "a.txt")
        first = children()
        pool.load(io.BytesIO(GOOD["d.pdf"]), "d.pdf")
        assert len(first) == 1
        assert children() == first
    assert len(ballast) == 350 << 20


@linux
def test_nothing_is_left_behind() -> None:
    """After close there is no process, no zombie and no descriptor more than before."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with ParserPool(2) as pool, ThreadPoolExecutor(2) as threads:
        for loaded in threads.map(lambda pair: pool.load(io.BytesIO(pair[1]), pair[0]), list(GOOD.items()) * 4):
            assert loaded.document.text
        assert 1 <= len(children()) <= 2
    assert children() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@linux
def test_the_process_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a parser process holds nothing but where programs and libraries are."""
    monkeypatch.setenv("GIGACHAT_CREDENTIALS", "canary-17")
    with ParserPool(1) as pool:
        pool.load(io.BytesIO(b"text"), "a.txt")
        (child,) = children()
        seen = Path(f"/proc/{child}/environ").read_bytes() + Path(f"/proc/{child}/cmdline").read_bytes()
    assert b"canary-17" not in seen


def test_threads_share_a_pool() -> None:
    """Many threads, two processes: every answer belongs to its question."""
    texts = [f"документ {number} " * 50 for number in range(60)]
    with ParserPool(2) as pool, ThreadPoolExecutor(8) as threads:
        loaded = threads.map(lambda text: pool.load(io.BytesIO(text.encode()), f"{text[:12]}.txt"), texts)
        assert [one.document.text for one in loaded] == texts


@forking
def test_closing_ends_a_load_under_way() -> None:
    """close() does not wait for a parser: the load that another thread waits for fails and says why."""
    pool = ParserPool(1, memory=4 << 30)
    pool.load(io.BytesIO(b"warm"), "a.txt")
    failures: list[LoadError] = []

    def run() -> None:
        try:
            pool.load(io.BytesIO(text_flood()), "flood.pdf")
        except LoadError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    pool.close()
    thread.join(20)
    assert not thread.is_alive()
    assert "closed" in str(failures[0])
    with pytest.raises(LoadError, match="closed"):
        pool.load(io.BytesIO(b"text"), "a.txt")


SAMPLE = Loaded(
    Document("a.pdf", "Раз\n\nДва", "", "application/pdf", (0, 5), (Heading(5, 1, "Два"),), {"title": "T", "pages": 2}),
    (Problem("page 3 is damaged", "save it anew", 3),),
    ("a note",),
)


def parted(frame: bytes) -> tuple[bytes, bytes]:
    header, text = check_lengths(frame[: LENGTHS.size], DEFAULT_LIMITS)
    assert len(frame) == LENGTHS.size + header + text
    return frame[LENGTHS.size : LENGTHS.size + header], frame[LENGTHS.size + header :]


def test_a_frame_holds_all_that_was_loaded() -> None:
    """What goes through the pipe comes out equal."""
    assert unpack(*parted(b"".join(pack(SAMPLE, DEFAULT_LIMITS))), "a.pdf") == SAMPLE


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (b'"page_starts":[0,5]', b'"page_starts":[5,0]'),
        (b'"page_starts":[0,5]', b'"page_starts":[0,999]'),
        (b'"page_starts":[0,5]', b'"page_starts":["x"]'),
        (b'"media_type"', b'"media_typo"'),
        (b'"problems":[[', b'"problems":[[1,'),
        (b'{"media_type"', b'["media_type"'),
        (b'"page_starts":[0,5]', b'"page_starts":[1e999]'),
        (b'"page_starts":[0,5]', b'"page_starts":' + b"[" * 100_000),
        (b"[5,1,", b"[5,9223372036854775808,"),
        (b',3,"unreadable"]', b',-1,"unreadable"]'),
    ],
)
def test_a_forged_frame_is_refused(field: bytes, wrong: bytes) -> None:
    """A parser that was taken over can lie about the text, but not about the shape of its answer."""
    header, text = parted(b"".join(pack(SAMPLE, DEFAULT_LIMITS)))
    assert field in header
    with pytest.raises(ValueError, match=r"a frame without its fields|offsets outside"):
        unpack(header.replace(field, wrong), text, "a.pdf")


def strings(loaded: Loaded) -> list[str]:
    document = loaded.document
    said = [text for problem in loaded.problems for text in (problem.reason, problem.cure, problem.code)]
    return [*said, *loaded.notes, document.media_type, *document.metadata, *map(str, document.metadata.values())]


def test_what_a_frame_says_can_be_stored() -> None:
    """JSON can say half a surrogate pair and NUL: titles, keys, reasons and notes come without, a text is refused."""
    header, text = parted(b"".join(pack(SAMPLE, DEFAULT_LIMITS)))
    for said in (b"a note", b"page 3 is damaged", b"save it anew", b"application/pdf", b"pages"):
        assert said in header
        loaded = unpack(header.replace(said, said + rb"\ud800\u0000"), text, "a.pdf")
        assert not set("\ud800\0") & set("".join(strings(loaded)))
    with pytest.raises(ValueError, match="NUL"):
        unpack(header, text + b"\0", "a.pdf")


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    """Lengths are checked before memory is set aside for them."""
    with pytest.raises(ValueError, match="a frame of"):
        check_lengths(LENGTHS.pack(10, 1 << 40), DEFAULT_LIMITS)
