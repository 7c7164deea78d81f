"""Indexing a folder that changes, in runs that stop, driven at random.

What is stored is what was there, and no text is paid for twice.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from machines import MemoryFolder, driven
from paid import PaidEmbedder, StreamedEmbedder

from ragkit.chunking import RecursiveChunker
from ragkit.errors import BudgetExceeded, PaymentRequired
from ragkit.loaders import load_once
from ragkit.loaders.limits import DEFAULT_LIMITS
from ragkit.rag import RAG
from ragkit.reports import IndexReport, Loaded
from ragkit.store.local import LocalStore

NAMES = st.sampled_from(["a.txt", "b.txt", "c.md", "sub/a.txt", "sub/d.txt", "заметка.txt"])
LENGTHS = st.integers(1, 40)  # parts of a text; a request holds 16
BROKEN = b"\x00\x01\x02\xff" * 64  # no text in any encoding
LONG_AGO = 1_700_000_000


class Here:
    """Parsers without processes: they are the affair of other tests, and take a second to start."""

    workers = 1

    def load(self, file: BinaryIO, source: str) -> Loaded:
        return load_once(file, source, DEFAULT_LIMITS, 0)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def close(self) -> None:
        """Nothing to end."""


class Folder(RuleBasedStateMachine):
    """`files` is what lies in the folder, None where it cannot be read; `stored` what the index must hold."""

    embedder: type[PaidEmbedder] = PaidEmbedder

    def __init__(self) -> None:
        super().__init__()
        self.place = MemoryFolder()
        self.docs = Path(self.place.name) / "docs"
        self.docs.mkdir()
        self.files: dict[str, str | None] = {}
        self.stored: dict[str, str] = {}
        self.paid: Counter[str] = Counter()  # every text that was ever sent
        self.parts = 0
        self.seconds = LONG_AGO

    def teardown(self) -> None:
        try:
            self.run_to_the_end()
            self.nothing_is_left_to_do()
        finally:
            self.place.cleanup()

    @initialize()
    def first(self) -> None:
        self.put("a.txt", 3)

    # -- files

    def write(self, name: str, content: bytes) -> None:
        """With a time of its own, and long ago: files of the last two seconds are read in any case."""
        path = self.docs / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        self.seconds += 1
        os.utime(path, (self.seconds, self.seconds))

    @rule(name=NAMES, length=LENGTHS)
    def put(self, name: str, length: int) -> None:
        """A new file, or another text in an old one; some parts of it are those of the file before."""
        old = (self.files.get(name) or "").split("\n\n")
        parts = []
        for n in range(length):
            self.parts += 1
            parts.append(old[n] if n % 3 == 0 and n < len(old) - 1 else f"part {self.parts} is red " + "so " * 12)
        text = "\n\n".join(part.strip() for part in parts)
        self.write(name, text.encode())
        self.files[name] = text

    @rule(name=NAMES)
    def touch(self, name: str) -> None:
        if self.files.get(name):
            self.write(name, str(self.files[name]).encode())

    @rule(name=NAMES, to=NAMES)
    def rename(self, name: str, to: str) -> None:
        if name in self.files and name != to:
            (self.docs / to).parent.mkdir(exist_ok=True)
            (self.docs / name).replace(self.docs / to)
            self.files[to] = self.files.pop(name)

    @rule(name=NAMES, to=NAMES)
    def copy(self, name: str, to: str) -> None:
        if self.files.get(name) and name != to:
            self.write(to, str(self.files[name]).encode())
            self.files[to] = self.files[name]

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.files:
            (self.docs / name).unlink()
            del self.files[name]

    @rule(name=NAMES)
    def damage(self, name: str) -> None:
        """It gives nothing any more; what was indexed of it stays."""
        if name in self.files:
            self.write(name, BROKEN)
            self.files[name] = None

    # -- runs

    def index(self, embedder: PaidEmbedder, max_tokens: int | None = None) -> IndexReport:
        """One run. Whatever becomes of it, no text is sent that was ever sent before."""
        store = LocalStore(Path(self.place.name) / "index")
        chunker = RecursiveChunker(size=60, overlap=0)
        try:
            with RAG(store, embedder, chunker, Here, max_file_size=1 << 20) as rag:  # type: ignore[arg-type] # as much of a pool as is used
                return rag.index_folder(self.docs, max_tokens=max_tokens)
        finally:
            self.paid.update(embedder.texts)
            assert [text for text, times in self.paid.items() if times > 1] == []

    def after(self) -> dict[str, str]:
        """What must be stored after a whole run."""
        kept = {name: self.stored[name] for name, text in self.files.items() if text is None and name in self.stored}
        return {name: text for name, text in self.files.items() if text is not None} | kept

    @rule()
    def run_to_the_end(self) -> None:
        report = self.index(self.embedder())
        after = self.after()
        assert report.new == len([name for name in after if name not in self.stored])
        assert report.removed == len(self.stored.keys() - self.files.keys())
        assert report.failed == len([name for name, text in self.files.items() if text is None])
        self.stored = after

    def stops(self, embedder: PaidEmbedder, error: type[BaseException], max_tokens: int | None = None) -> None:
        """A run that may not come to its end: each document is then that of before, or that of after, and whole."""
        before, after = self.stored, self.after()
        try:
            self.index(embedder, max_tokens)
        except error:
            found = self.found()
            for name in before.keys() | after.keys() | found.keys():
                # What the folder no longer has is taken out at the end of a run.
                assert found.get(name) in (before.get(name), after.get(name)), name
            self.stored = found
        else:
            self.stored = after

    @rule(fails_at=st.integers(1, 4))
    def run_to_an_error(self, fails_at: int) -> None:
        error = PaymentRequired("nothing is left on the account", status=402)
        self.stops(self.embedder(fails_at=fails_at, error=error), PaymentRequired)

    @rule(fails_at=st.integers(1, 4))
    def run_to_an_interrupt(self, fails_at: int) -> None:
        self.stops(self.embedder(fails_at=fails_at, error=KeyboardInterrupt()), KeyboardInterrupt)

    @rule(limit=st.integers(0, 2000))
    def run_to_a_limit(self, limit: int) -> None:
        embedder = self.embedder()
        self.stops(embedder, BudgetExceeded, max_tokens=limit)
        assert sum(embedder.count_tokens(embedder.texts)[0]) <= limit

    @precondition(lambda self: self.stored == self.after())
    @rule()
    def nothing_is_left_to_do(self) -> None:
        """Once all is stored, a run sends nothing and changes nothing."""
        embedder = self.embedder()
        report = self.index(embedder)
        assert embedder.texts == []
        assert (report.new, report.removed, report.embedded) == (0, 0, 0)

    # -- what must hold

    def found(self) -> dict[str, str]:
        store = LocalStore(Path(self.place.name) / "index")
        try:
            return {info.source: store.document(info.source).text for info in store.documents() if info.chunks}
        finally:
            store.close()

    @invariant()
    def the_index_is_that_of_the_model(self) -> None:
        if (Path(self.place.name) / "index").exists():
            assert self.found() == self.stored
            store = LocalStore(Path(self.place.name) / "index")
            try:
                assert [finding.message for finding in store.check() if not finding.ok] == []
                assert store.status().vectors == len(self.paid)
                chunks, _ = store.vectors(10_000)
                assert Counter(chunk.source for _, chunk in chunks) == {
                    name: text.count("\n\n") + 1 for name, text in self.stored.items()
                }
            finally:
                store.close()


class StreamedFolder(Folder):
    """The same with a service that takes texts while files are read."""

    embedder = StreamedEmbedder


TestFolder = Folder.TestCase
TestFolder.settings = driven(examples=10, steps=20)

TestStreamedFolder = StreamedFolder.TestCase
TestStreamedFolder.settings = driven(examples=10, steps=20)


def test_the_model_of_the_folder_can_fail() -> None:
    """A text that is sent a second time is seen."""
    machine = Folder()
    machine.first()
    machine.run_to_the_end()
    machine.paid.update(list(machine.paid))
    with pytest.raises(AssertionError):
        machine.index(PaidEmbedder())
    machine.place.cleanup()
