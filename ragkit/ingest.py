"""From a folder to the index: find, compare, load, chunk, reuse or embed, store. It spends as little as it can.

A file whose size and time are those of last time is not opened; one with the same bytes is not loaded; a text
that was embedded before, under whatever name, is not embedded again. What is committed stays done: a run that
was interrupted goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ragkit.budget import Budget
from ragkit.embedding_run import EmbeddingRun
from ragkit.errors import ConfigError
from ragkit.folders import FoundFile, find, is_text, walk
from ragkit.intake import Seen, clean, look_at, untouched
from ragkit.positions import contextual_text
from ragkit.protocols import Chunker, Embedder, Parsers, Writer
from ragkit.reports import FileReport, FileStamp, FileStatus, IndexReport, Known, Problem, Progress
from ragkit.roots import Scope, scope_of
from ragkit.types import Chunk, Document


@dataclass(frozen=True, slots=True)
class _Cut:
    """A document cut into chunks, with the key of each chunk's vector and the text that the vector is made from."""

    document: Document
    chunks: Sequence[Chunk]
    texts: Sequence[str]
    keys: Sequence[bytes]
    root: int | None = None
    stamp: FileStamp = FileStamp()  # noqa: RUF009 - frozen
    problems: Sequence[Problem] = ()


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
        self._run = EmbeddingRun(writer, embedder, budget=budget, dry_run=dry_run, arrived=self._show)
        self._chunker = chunker
        self._tell = progress or (lambda _: None)
        self._progress = Progress(0, 0, 0)
        self._dry_run = dry_run
        self._moved = moved
        self._held: dict[str, _Cut] = {}  # by source: documents that wait for a batch
        self._waiting = 0  # chunks of the batch
        self._counts: Counter[str] = Counter()
        self._reports: list[FileReport] = []
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
        if whole:
            files = list(walk(place, max_file_size=max_file_size, without=index.resolve()))
        else:
            files = [find(place, max_file_size=max_file_size)]
            if files[0].problem:  # a pipe, a device, a hidden file: its folder is none of the index
                self._note(FileReport(files[0].source, FileStatus.FAILED, problems=(files[0].problem,)))
                return self._report(str(path), str(index))
        scope = scope_of(self._writer, place if whole else place.parent, index, whole=whole)
        files = [replace(file, source=scope.prefix + file.source) for file in files]
        known = {s: k for s, k in self._writer.known().items() if k.root == scope.root.id}
        failed = {s for s, root in self._writer.failures().items() if root == scope.root.id}
        recipe = self._writer.recipe(scope.root)
        # What was cut in another way is loaded again; the chunks that stay the same are not embedded again.
        again = failed | known.keys() if recipe != self._recipe else failed
        with self._run.open():
            if moves:
                self._foresee_move()
            for done, seen in enumerate(self._look_at_all(files, known, again, parsers), 1):
                self._take(seen, known.get(seen.file.source), scope.root.id)
                self._progress = Progress(done, len(files), 0, seen.file.source)
                self._show()
            self._flush()
            if whole:
                self._remove_missing({*known, *failed}, files, scope)
                if recipe != self._recipe:
                    self._writer.set_recipe(scope.root, self._recipe)
        return self._report(str(path), str(index))

    def documents(self, documents: Iterable[Document], index: Path) -> IndexReport:
        """Put documents that the caller made into the index, each in the place of one with the same source."""
        self._writer.check_model(self._model)
        with self._run.open():
            for document in map(clean, documents):
                source = document.source
                if not document.text.strip():
                    problem = Problem("it has no text", "leave it out", code="empty")
                    self._writer.fail(source, None, FileStamp(), [problem])
                    self._note(FileReport(source, FileStatus.FAILED, problems=(problem,)))
                    continue
                if source in self._held:  # a second one of the same name replaces the first
                    self._flush()
                existing = self._writer.document(source)
                if existing == document:
                    self._counts["unchanged"] += 1
                else:
                    self._add(self._cut(document), FileStatus.CHANGED if existing else FileStatus.NEW)
            self._flush()
        return self._report("", str(index))

    # -- looking at files

    def _look_at_all(
        self, files: Sequence[FoundFile], known: Mapping[str, Known], again: set[str], parsers: Parsers
    ) -> Iterator[Seen]:
        """Every file in order, a few of them in the making at a time; those in `again` are loaded in any case."""
        with ThreadPoolExecutor(parsers.workers) as pool:
            waiting: deque[Seen | Future[Seen]] = deque()
            try:
                for file in files:
                    before = None if file.source in again else known.get(file.source)
                    if file.problem:
                        waiting.append(Seen(file, file.stamp, problem=file.problem))
                    elif before and untouched(file.stamp, before.stamp):
                        waiting.append(Seen(file, before.stamp, known=before))
                    else:
                        waiting.append(pool.submit(look_at, file, before, parsers))
                    while waiting and (len(waiting) > 4 * parsers.workers or isinstance(waiting[0], Seen)):
                        yield _result(waiting.popleft())
                while waiting:
                    yield _result(waiting.popleft())
            except BaseException:  # an interrupt: what has not begun is not begun any more
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _take(self, seen: Seen, known: Known | None, root: int) -> None:
        """Record what became of a file; hold what was loaded until there is a batch."""
        source = seen.file.source
        if seen.problem:
            self._writer.fail(source, root, seen.stamp, [seen.problem])
            notes = ("the version indexed before stays",) if known else ()
            self._note(FileReport(source, FileStatus.FAILED, problems=(seen.problem,), notes=notes))
        elif seen.known:
            if seen.stamp != seen.known.stamp:
                self._writer.touch(source, seen.stamp)
            self._note(FileReport(source, FileStatus.UNCHANGED, problems=seen.known.problems))
        elif seen.loaded:
            cut = self._cut(seen.loaded.document, root, seen.stamp, seen.loaded.problems)
            self._add(cut, FileStatus.CHANGED if known else FileStatus.NEW, seen.loaded.notes)

    def _remove_missing(self, stored: set[str], files: Sequence[FoundFile], scope: Scope) -> None:
        """Take out what the folder no longer has. Of a folder that could not be read, nothing is taken out."""
        found = {file.source for file in files}
        unread = tuple(f.source for f in files if f.problem and f.problem.code == "unreadable_folder")
        for source in sorted(stored - found):
            kept = not source.startswith(scope.prefix) or (unread and source.startswith(unread))
            if not kept and self._writer.remove(source):
                self._note(FileReport(source, FileStatus.REMOVED))

    # -- chunks and vectors

    def _cut(
        self,
        document: Document,
        root: int | None = None,
        stamp: FileStamp = FileStamp(),  # noqa: B008 - frozen
        problems: Sequence[Problem] = (),
    ) -> _Cut:
        chunks = self._chunker(document)
        texts = [contextual_text(document.title, chunk) for chunk in chunks]
        return _Cut(document, chunks, texts, [self._run.key(text) for text in texts], root, stamp, problems)

    def _add(self, cut: _Cut, status: FileStatus, notes: Sequence[str] = ()) -> None:
        source = cut.document.source
        self._note(FileReport(source, status, len(cut.chunks), tuple(cut.problems), tuple(notes)))
        self._counts["chunks"] += len(cut.chunks)
        self._held[source] = cut
        self._waiting += len(cut.chunks)
        if self._waiting >= self._run.gathered:
            self._flush()

    def _flush(self) -> None:
        """Embed what the batch lacks, then put its documents in place; after an error, those that lack nothing."""
        batch, self._held, self._waiting = list(self._held.values()), {}, 0
        texts = {key: text for cut in batch for key, text in zip(cut.keys, cut.texts, strict=True)}
        try:
            self._run.embed(texts)
        except BaseException:
            if not self._writer.failed:
                stored = self._writer.stored(texts)
                self._place(cut for cut in batch if stored.issuperset(cut.keys))
            raise
        if not self._dry_run:
            self._place(batch)
            self._run.commit_if_due()

    def _place(self, cuts: Iterable[_Cut]) -> None:
        for cut in cuts:
            self._writer.replace(
                cut.document, cut.chunks, cut.keys, root=cut.root, stamp=cut.stamp, problems=cut.problems
            )

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

    def _show(self) -> None:
        spent = self._run.spent
        self._progress = replace(
            self._progress, chunks=self._counts["chunks"], tokens=spent.total_tokens, cost=spent.cost
        )
        self._tell(self._progress)

    def _note(self, report: FileReport) -> None:
        self._counts[report.status] += 1
        if report.status is not FileStatus.UNCHANGED or report.problems:
            self._reports.append(report)

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
            files=tuple(sorted(self._reports, key=lambda report: report.source)),
            usage=usage,
            estimated=estimated,
            seconds=time.monotonic() - self._began,
        )


def _result(item: Seen | Future[Seen]) -> Seen:
    return item if isinstance(item, Seen) else item.result()
