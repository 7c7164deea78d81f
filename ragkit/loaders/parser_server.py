"""One parser process, seen from outside: start it, hand it a document, read the outcome, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ragkit.errors import LoadError
from ragkit.loaders.frames import LENGTHS, check_lengths
from ragkit.loaders.limits import Limits
from ragkit.loaders.parser_process import READY, REQUEST

_GRACE = 5.0  # seconds that the process has to end a document by its own clock before it is killed itself
_START_SECONDS = 60.0
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP")
_BOOT = """
import json, sys
for entry in json.loads(sys.argv[1]):
    if entry not in sys.path:
        sys.path.append(entry)
from ragkit.loaders.parser_process import main
main(sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One try at one document; `cpu` and `wall` are the seconds that are left for it."""

    source: str
    attempt: int
    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """`frame` is (header, text) where one arrived whole; else `signal` (or an exit code) says how it ended."""

    frame: tuple[bytes, bytes] | None
    signal: int = 0
    exit_code: int = 0
    cpu: float = 0.0
    rss: int = 0
    retire: bool = False


class ServerDied(Exception):
    """The process itself is gone; `signal` where one ended it, 0 otherwise. The pool may start another."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"the parser process ended, signal {signal_number}")
        self.signal = signal_number


class Server(Protocol):
    """A started process. `run` raises ServerDied; after that only `kill` may be called."""

    def run(self, descriptor: int, request: Request) -> Outcome: ...
    def stop(self) -> None:
        """End the process while another thread waits for its answer; that thread then calls `kill`."""
        ...

    def kill(self) -> None:
        """End the process, reap it, close all descriptors."""
        ...


def _command(mode: str, limits: Limits) -> list[str]:
    here = str(Path(__file__).parents[2])
    paths = [entry for entry in [*sys.path, here] if entry and Path(entry).is_absolute()]
    return [sys.executable, "-I", "-c", _BOOT, json.dumps(paths), mode, json.dumps(asdict(limits))]


def _environment() -> dict[str, str]:
    """Nothing that could be a secret: a parser that is taken over finds no key to send away."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "HOME": os.sep}  # none at all would make Python ask the system, perhaps over the net, for one


class ForkServer:
    """The process that forks for each document; a Unix socket carries requests with their descriptors."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                _command(str(theirs.fileno()), limits),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
                start_new_session=True,  # Ctrl-C is the parent's to handle; forks die with the group
            )
        try:
            self._control.settimeout(_START_SECONDS)
            greeting = self._receive(len(READY))
        except (OSError, ServerDied):
            greeting = b""
        if greeting != READY:
            self.kill()
            raise LoadError(
                f"the parser process did not start: {sys.executable} ended with code {self._process.returncode}",
                "check that this Python can import ragkit, lxml and pypdfium2",
            )

    def run(self, descriptor: int, request: Request) -> Outcome:
        deadline = time.monotonic() + request.wall + _GRACE
        body = json.dumps(asdict(request)).encode()
        reading, writing = os.pipe()
        try:
            try:
                socket.send_fds(self._control, [REQUEST.pack(len(body))], [descriptor, writing])
                self._control.sendall(body)
            except OSError as error:
                raise self._died() from error
            finally:
                os.close(writing)
            frame = _read_frame(reading, deadline, self._limits)
        finally:
            os.close(reading)
        self._control.settimeout(max(deadline - time.monotonic(), 0.1))
        try:
            size = REQUEST.unpack(self._receive(REQUEST.size))[0]
            fields = json.loads(self._receive(size))
        except TimeoutError as error:  # its own clock did not end the document: end both
            self.kill()
            raise ServerDied(signal.SIGALRM) from error
        except OSError as error:
            raise self._died() from error
        status = int(fields["status"])
        return Outcome(
            frame,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            cpu=float(fields["cpu"]),
            rss=int(fields["rss"]),
            retire=bool(fields["retire"]),
        )

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._control.recv(size - len(data))
            if not piece:
                raise self._died()
            data += piece
        return data

    def _died(self) -> ServerDied:
        self.kill()
        return ServerDied(max(-(self._process.returncode or 0), 0))

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        self._control.close()
        if self._process.returncode is None:  # not yet reaped, so that its number still means its group
            self.stop()  # a process that has ended keeps the status it ended with
            self._process.wait()


def _read_frame(reading: int, deadline: float, limits: Limits) -> tuple[bytes, bytes] | None:
    """(header, text), or None where the writer ended before its frame did, or broke the limits."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)

    def read(size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                return None
            piece = os.read(reading, min(size - len(data), 1 << 20))
            if not piece:
                return None
            data += piece
        return bytes(data)

    head = read(LENGTHS.size)
    if head is None:
        return None
    try:
        header_size, text_size = check_lengths(head, limits)
    except ValueError:
        return None
    header = read(header_size)
    text = read(text_size) if header is not None else None
    return None if header is None or text is None else (header, text)


class PipeServer:
    """A process without fork: it parses one document after another and is killed when one takes too long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            _command("pipes", limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        if self._read(len(READY)) != READY:
            self.kill()
            raise LoadError(
                f"the parser process did not start: {sys.executable} ended with code {self._process.returncode}",
                "check that this Python can import ragkit, lxml and pypdfium2",
            )

    def run(self, descriptor: int, request: Request) -> Outcome:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(request.wall, end)
        timer.start()
        try:
            self._send(descriptor, request)
            head = self._read(LENGTHS.size)
            header_size, text_size = check_lengths(head, self._limits)
            return Outcome((self._read(header_size), self._read(text_size)))
        except (OSError, ValueError) as error:
            self.kill()
            raise ServerDied(14 if late.is_set() else max(-(self._process.returncode or 0), 0)) from error
        finally:
            timer.cancel()
            timer.join()

    def _send(self, descriptor: int, request: Request) -> None:
        assert self._process.stdin  # noqa: S101 - a PIPE was asked for
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            stream.seek(0)
            data = stream.read()
        fields = json.dumps(asdict(request)).encode()
        self._process.stdin.write(LENGTHS.pack(len(fields), len(data)) + fields)
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _read(self, size: int) -> bytes:
        assert self._process.stdout  # noqa: S101 - a PIPE was asked for
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise OSError("the parser process closed its output")
        return data

    def stop(self) -> None:
        self._process.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
