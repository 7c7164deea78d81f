"""From a folder to the index: find, compare, load, chunk, reuse or embed, store. It spends as little as it can.

All of it goes on at once: parsers read ahead in processes, a service takes texts as its slots are free, and what is
whole is put in place, in the order of the files whatever comes first. How much waits is bounded, not what there is.


A file whose size and time are those of last time is not opened; one with the same bytes is not loaded; a text
that was embedded before, under whatever name, is not embedded again. What is committed stays done: a run that
was interrupted goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ragkit.budget import Budget
from ragkit.embedding_run import EmbeddingRun, Wanted
from ragkit.errors import ConfigError
from ragkit.file_reports import ReportLog
from ragkit.folders import find, is_text, walk
from ragkit.intake import Seen, clean, look_at_all
from ragkit.positions import contextual_text
from ragkit.protocols import Chunker, Embedder, Parsers, Writer
from ragkit.reports import FileReport, FileStamp, FileStatus, IndexReport, Known, Problem, Progress
from ragkit.roots import scope_of
from ragkit.survey import Survey
from ragkit.types import Chunk, Document

# What documents may hold that wait for their vectors; one of them may pass it alone. More than slots can have on their
# way, and less than memory notices.
HELD_CHARACTERS = 8 << 20
HELD_CHUNKS = 8192


@dataclass(slots=True)
class _Cut:
    """A document cut into chunks, with the key of each chunk's vector; the first `here` of them have theirs.

    `size` is its file's, in bytes.
    """

    document: Document
    chunks: Sequence[Chunk]
    keys: Sequence[bytes]
    root: int | None = None
    stamp: FileStamp = FileStamp()  # noqa: RUF009 - frozen
    problems: Sequence[Problem] = ()
    size: int = 0
    here: int = 0

    def text(self, n: int) -> str:
        """What the vector of the n-th chunk is made from."""
        return contextual_text(self.document.title, self.chunks[n])


class Ingest:
    """One run that brings documents into an index. With `dry_run` nothing is embedded and nothing stored.

    `recipe` says how documents are cut; files of a folder that was cut by another are cut again. `moved` is for a dry
    run whose caller told what moving the index to the embedder's model costs: that is taken as done.
    """

    def __init__(
        self,
        writer: Writer,
        embedder: Embedder,
        chunker: Chunker,
        *,
        recipe: str = "",
        progress: Callable[[Progress], None] | None = None,
        budget: Budget | None = None,
        dry_run: bool = False,
        moved: bool = False,
    ) -> None:
        self._writer = writer
        self._recipe = recipe
        self._model = embedder.model
        self._run = EmbeddingRun(writer, embedder, budget=budget, dry_run=dry_run, arrived=self._on_arrival)
        self._chunker = chunker
        self._tell = progress or (lambda _: None)
        self._total = self._total_bytes = self._bytes = 0
        self._source = ""
        self._dry_run = dry_run
        self._moved = moved
        self._held: deque[_Cut] = deque()  # documents that wait for their vectors, in order
        self._newest: dict[str, _Cut] = {}  # the last of these by source
        self._waiting: Counter[str] = Counter()  # what they are, in characters, chunks and bytes
        self._more = True  # documents to come
        self._counts: Counter[str] = Counter()
        self._reports = ReportLog()
        self._began = time.monotonic()

    def folder(self, path: Path, index: Path, parsers: Parsers, *, max_file_size: int) -> IndexReport:
        """Make the index agree with a folder, or with one file.

        Raises ConfigError where there is neither, IndexMismatch where another model made the index: then before
        anything is read or paid for. A dry run tells what moving the index to the model costs as well, unless `moved`.
        """
        moves = self._dry_run and self._writer.model not in ("", self._model)
        if not moves:
            self._writer.check_model(self._model)
        if not path.exists():
            raise ConfigError(f"{path} does not exist", "name a folder or a file that does")
        place = path.resolve()
        if not is_text(str(place)):
            shown = str(place).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise ConfigError(f"the path {shown} is not UTF-8", "rename the folder")
        whole = place.is_dir()
        if not whole:
            file = find(place, max_file_size=max_file_size)
            if file.problem:  # a pipe, a device, a hidden file: its folder is none of the index
                self._note(FileReport(file.source, FileStatus.FAILED, problems=(file.problem,)))
                return self._report(str(path), str(index))
        scope = scope_of(self._writer, place if whole else place.parent, index, whole=whole)
        found = walk(place, max_file_size=max_file_size, without=index.resolve()) if whole else [file]
        # What was cut in another way is loaded again; the chunks that stay the same are not embedded again.
        survey = Survey(self._writer, scope, found, cut_from=self._writer.cut_by(scope.root, self._recipe))
        gone = survey.gone() if whole else []
        self._total, self._total_bytes = survey.files, survey.bytes
        with self._run.open():
            if moves:
                self._foresee_move()
            with closing(look_at_all(survey, parsers)) as seen:
                self._bring(self._read(seen, survey, scope.root.id))
            self._remove(gone)
        self._finish()
        return self._report(str(path), str(index))

    def documents(self, documents: Iterable[Document], index: Path) -> IndexReport:
        """Put documents that the caller made into the index, each in the place of one with the same source."""
        self._writer.check_model(self._model)
        with self._run.open():
            self._bring(self._given(documents))
        self._finish()
        return self._report("", str(index))

    # -- what comes in

    def _read(self, files: Iterable[Seen | None], survey: Survey, root: int) -> Iterator[_Cut | None]:
        """The files that have something new in them, cut; what became of the others is recorded."""
        for seen in files:
            if seen is None:
                yield None
                continue
            cut = self._take(seen, survey.take(seen.file.source), root)
            if not (cut or seen.file.problem or (seen.known and seen.stamp == seen.known.stamp)):
                self._counts["bytes"] += seen.file.stamp.size  # it was opened
            self._source = seen.file.source
            self._counts["files"] += 1
            self._show()
            if cut:
                yield cut

    def _given(self, documents: Iterable[Document]) -> Iterator[_Cut]:
        """The documents that are new or changed, cut; what became of the others is recorded."""
        for document in map(clean, documents):
            source = document.source
            if not document.text.strip():
                problem = Problem("it has no text", "leave it out", code="empty")
                self._writer.fail(source, None, FileStamp(), [problem])
                self._note(FileReport(source, FileStatus.FAILED, problems=(problem,)))
                continue
            held = self._newest.get(source)  # one of the same name that came before
            existing = held.document if held else self._writer.document(source)
            if existing == document:
                self._counts["unchanged"] += 1
            else:
                cut = self._cut(document)
                self._note(FileReport(source, FileStatus.CHANGED if existing else FileStatus.NEW, len(cut.chunks)))
                yield cut

    def _take(self, seen: Seen, known: Known | None, root: int) -> _Cut | None:
        """Record what became of a file; what was loaded, cut."""
        source = seen.file.source
        if seen.problem:
            self._writer.fail(source, root, seen.stamp, [seen.problem])
            notes = ("the version indexed before stays",) if known else ()
            self._note(FileReport(source, FileStatus.FAILED, known.chunks if known else 0, (seen.problem,), notes))
        elif seen.known:
            if seen.stamp != seen.known.stamp:
                self._writer.touch(source, seen.stamp)
            self._note(FileReport(source, FileStatus.UNCHANGED, seen.known.chunks, seen.known.problems))
        elif seen.loaded:
            cut = self._cut(seen.loaded.document, root, seen.stamp, seen.loaded.problems, seen.file.stamp.size)
            status = FileStatus.CHANGED if known else FileStatus.NEW
            self._note(FileReport(source, status, len(cut.chunks), tuple(cut.problems), tuple(seen.loaded.notes)))
            return cut
        return None

    def _remove(self, gone: Iterable[str]) -> None:
        """Take out what the folder no longer has."""
        for source in gone:
            if self._writer.remove(source):
                self._note(FileReport(source, FileStatus.REMOVED))

    # -- chunks and vectors

    def _cut(
        self,
        document: Document,
        root: int | None = None,
        stamp: FileStamp = FileStamp(),  # noqa: B008 - frozen
        problems: Sequence[Problem] = (),
        size: int = 0,
    ) -> _Cut:
        chunks = self._chunker(document)
        keys = [self._run.key(contextual_text(document.title, chunk)) for chunk in chunks]
        self._counts["chunks"] += len(chunks)
        self._counts["pages"] += len(document.page_starts)
        return _Cut(document, chunks, keys, root, stamp, problems, size)

    def _bring(self, cuts: Iterator[_Cut | None]) -> None:
        """Embed what documents lack, and put them in place; after an error, those that lack nothing."""
        try:
            while self._more:
                self._run.embed_all(self._wanted(cuts))
                self._place_whole()
        except BaseException:
            if not self._writer.failed:
                for cut in self._held:
                    if self._writer.stored(cut.keys).issuperset(cut.keys):
                        self._place(cut)
            raise

    def _wanted(self, cuts: Iterator[_Cut | None]) -> Iterator[Wanted | None]:
        """What has to be embedded of the documents that come, until there are none, or those that wait are too many."""
        for cut in cuts:
            if cut is None:
                yield None
                continue
            self._held.append(cut)
            self._newest[cut.document.source] = cut
            self._waiting.update(_extent(cut))
            yield Wanted(cut.keys, cut.text)
            self._place_whole()
            self._run.commit_if_due()
            if self._waiting["characters"] > HELD_CHARACTERS or self._waiting["chunks"] > HELD_CHUNKS:
                return
        self._more = False

    def _place_whole(self) -> None:
        """Put the documents in place that lack nothing any more, up to the first that does: their order is kept."""
        while self._held:
            cut = self._held[0]
            while cut.here < len(cut.keys) and (self._dry_run or not self._run.lacks(cut.keys[cut.here])):
                cut.here += 1
            if cut.here < len(cut.keys):
                return
            if not self._dry_run:
                self._place(cut)
            self._held.popleft()
            if self._newest[cut.document.source] is cut:
                del self._newest[cut.document.source]
            self._waiting.subtract(_extent(cut))
            self._counts["bytes"] += cut.size

    def _place(self, cut: _Cut) -> None:
        self._writer.replace(cut.document, cut.chunks, cut.keys, root=cut.root, stamp=cut.stamp, problems=cut.problems)

    def _foresee_move(self) -> None:
        """Count what the index holds already as not embedded yet, for another model embedded it; or as known."""
        for title, chunks in self._writer.passages():
            texts = {self._run.key(text): text for text in (contextual_text(title, chunk) for chunk in chunks)}
            if self._moved:
                self._run.know(texts)
            else:
                self._run.embed(texts)
                self._counts["moved"] += len(chunks)

    # -- the report

    def _on_arrival(self) -> None:
        self._place_whole()
        self._show()

    def _finish(self) -> None:
        """Let searches find all of it: of a run of less than a minute that is a good part of the work."""
        if self._dry_run:
            return
        began = time.monotonic()

        def tell(done: int = 0, total: int = 0) -> None:
            seconds = time.monotonic() - began
            now = self._progress()
            self._tell(replace(now, finishing=True, findable=done, to_find=total, finishing_seconds=seconds))

        tell()
        self._writer.publish(tell)

    def _show(self) -> None:
        self._tell(self._progress())

    def _progress(self) -> Progress:
        spent = self._run.spent
        # Of those that wait, the share that is here: chunks are about as long in all of them, and never does it sink.
        share = 1 - self._run.lacking / max(1, self._waiting["chunks"], self._run.lacking)
        self._bytes = max(self._bytes, self._counts["bytes"] + int(self._waiting["bytes"] * share))
        return Progress(
            self._counts["files"],
            self._total,
            self._counts["chunks"],
            self._source,
            spent.total_tokens,
            spent.cost,
            self._counts["pages"],
            self._bytes,
            self._total_bytes,
            time.monotonic() - self._began,
        )

    def _note(self, report: FileReport) -> None:
        self._counts[report.status] += 1
        if report.status is not FileStatus.UNCHANGED or report.problems:
            self._reports.add(report)

    def _report(self, root: str, index: str) -> IndexReport:
        usage, estimated = self._run.usage()
        return IndexReport(
            root,
            index,
            new=self._counts[FileStatus.NEW],
            changed=self._counts[FileStatus.CHANGED],
            removed=self._counts[FileStatus.REMOVED],
            unchanged=self._counts[FileStatus.UNCHANGED],
            failed=self._counts[FileStatus.FAILED],
            embedded=self._run.embedded,
            reused=self._counts["chunks"] + self._counts["moved"] - self._run.embedded,
            moved=self._counts["moved"],
            files=self._reports.ordered(),
            usage=usage,
            estimated=estimated,
            seconds=time.monotonic() - self._began,
        )


def _extent(cut: _Cut) -> dict[str, int]:
    return {"characters": len(cut.document.text), "chunks": len(cut.chunks), "bytes": cut.size}
