"""Load documents in processes that may die: one bad file costs one file.

Every document of a foreign format (pdf, docx, html) is parsed in a fork of its own, with limits on memory, CPU
time, wall time and output, no right to write files and no secrets in its environment; it gets the document as
an open descriptor and no path. Plain text, which only our own Python code reads, shares a process. Where fork
does not exist (Windows), one process parses document after document: it is killed at the wall deadline and
replaced, but memory and CPU time are not limited there; nor is memory on macOS, which ignores that limit.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from ragkit.errors import LoadError
from ragkit.loaders import TRY_ANOTHER, format_of, graver, recovered
from ragkit.loaders.frames import unpack
from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, unreadable
from ragkit.loaders.parser_server import ForkServer, Outcome, PipeServer, Request, Server, ServerDied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ragkit.reports import Loaded

_LEAST_SECONDS = 1.0  # a second parser is not begun with less CPU or wall time than this
# Those between the first and the last real-time signal have none.
_NAMES = {int(each): each.name for each in signal.Signals}
_CLOCKS = {"SIGXCPU": "cpu_seconds", "SIGALRM": "wall_seconds"}


class ParserPool:
    """Parser processes, started when first needed. Safe to call from several threads.

    Args:
        workers: documents parsed at once; the number of processors by default.
        memory: bytes of address space for one document.
        cpu_seconds: CPU time for one document, all its parsers together.
        wall_seconds: time for one document, all its parsers together.
        text_bytes: UTF-8 bytes of text that one document may give.
        pages: pages that one document may have.
        fork: False makes do without fork, as on Windows; None decides by the platform.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        memory: int = DEFAULT_LIMITS.memory,
        cpu_seconds: float = DEFAULT_LIMITS.cpu_seconds,
        wall_seconds: float = DEFAULT_LIMITS.wall_seconds,
        text_bytes: int = DEFAULT_LIMITS.text_bytes,
        pages: int = DEFAULT_LIMITS.pages,
        fork: bool | None = None,
    ) -> None:
        self.limits = Limits(memory, cpu_seconds, wall_seconds, text_bytes, pages)
        self.workers = workers or os.cpu_count() or 1
        self._fork = hasattr(os, "fork") if fork is None else fork
        self._lock = threading.Lock()
        self._running: set[Server] = set()
        self._closed = False
        self._slots: queue.LifoQueue[Server | None] = queue.LifoQueue()  # last in first: few files, few processes
        for _ in range(self.workers):
            self._slots.put(None)

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes. A load that is under way in another thread fails with LoadError."""
        with self._lock:
            self._closed = True
            for server in self._running:
                server.stop()
        ended = [self._slots.get() for _ in range(self.workers)]  # busy ones come back soon: they have been stopped
        for slot in ended:
            if slot:
                self._forget(slot)
        for _ in range(self.workers):
            self._slots.put(None)

    def load(self, file: BinaryIO | int, source: str) -> Loaded:
        """Parse an open file (or its descriptor), whose position is moved. Raises LoadError.

        What has no descriptor, such as BytesIO, goes through a temporary file.
        """
        loaders = format_of(source).loaders
        with _descriptor(file) as descriptor:
            ends = time.monotonic() + self.limits.wall_seconds
            cpu_left = self.limits.cpu_seconds
            failure: LoadError | None = None
            for attempt in range(len(loaders)):
                wall_left = ends - time.monotonic()
                if failure and min(cpu_left, wall_left) < _LEAST_SECONDS:
                    break
                try:
                    outcome = self._run(descriptor, Request(source, attempt, cpu_left, wall_left))
                    cpu_left -= outcome.cpu
                    loaded = self._open(outcome, source)
                except LoadError as error:
                    failure = graver(failure, error)
                    if error.code not in TRY_ANOTHER:
                        break
                else:
                    return recovered(loaded, failure) if failure else loaded
            raise failure or LoadError(f"{source} was not loaded")  # the loop raises or returns at its first turn

    def _open(self, outcome: Outcome, source: str) -> Loaded:
        if outcome.frame is None:
            raise self._lost(outcome.signal, outcome.exit_code, outcome.rss)
        try:
            return unpack(*outcome.frame, source)
        except ValueError as error:
            raise unreadable(f"its parser answered {error}", "save it anew and index again", "crash") from error

    def _lost(self, signal_number: int, exit_code: int = 0, rss: int = 0) -> LoadError:
        name = _NAMES.get(signal_number, f"signal {signal_number}") if signal_number else f"exit code {exit_code}"
        if clock := _CLOCKS.get(name):
            what = "of CPU time" if name == "SIGXCPU" else "in all"
            limit = getattr(self.limits, clock)
            return unreadable(f"it takes more than {limit:g} s {what} to read", "split it, or save it anew", "timeout")
        if rss > self.limits.memory // 2:  # allocators abort when they are refused
            reason = f"its parser used {rss >> 20} of {self.limits.memory >> 20} MiB of memory and ended ({name})"
            return unreadable(reason, "split it, or save it anew", "memory")
        return unreadable(
            f"its parser crashed ({name})", "open it in its program, save it anew and index again", "crash"
        )

    def _run(self, descriptor: int, request: Request) -> Outcome:
        """One try on a free process. One that dies with a document not its doing is replaced once."""
        slot = self._slots.get()
        try:
            for last in (False, True):
                if slot is None:
                    slot = self._start()
                try:
                    outcome = slot.run(descriptor, request)
                except ServerDied as death:
                    self._forget(slot)
                    slot = None
                    if self._closed:
                        raise LoadError("the parser pool was closed", "open it again") from death
                    if last or death.signal in _DOCUMENTS_FAULT:
                        return Outcome(None, signal=death.signal, cpu=request.cpu)
                    continue
                except BaseException:  # an interrupt in the middle: the answer would meet the next question
                    self._forget(slot)
                    slot = None
                    raise
                if outcome.retire:
                    self._forget(slot)
                    slot = None
                return outcome
            raise LoadError("the parser process cannot be kept alive", "see whether the system is out of memory")
        finally:
            self._slots.put(slot)

    def _start(self) -> Server:
        server: Server = ForkServer(self.limits) if self._fork else PipeServer(replace(self.limits))
        with self._lock:
            closed = self._closed
            if not closed:
                self._running.add(server)
        if closed:
            server.kill()
            raise LoadError("the parser pool was closed", "open it again")
        return server

    def _forget(self, server: Server) -> None:
        with self._lock:
            self._running.discard(server)
        server.kill()


# Signals by which a document itself ends the process that reads it: its clocks, and faults of C code.
_DOCUMENTS_FAULT = frozenset(
    getattr(signal, name)
    for name in ("SIGXCPU", "SIGALRM", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def _descriptor(file: BinaryIO | int) -> Iterator[int]:
    if isinstance(file, int):
        yield file
        return
    try:
        number = file.fileno()
    except OSError:  # io.UnsupportedOperation is one
        with tempfile.TemporaryFile() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield copy.fileno()
    else:
        yield number
