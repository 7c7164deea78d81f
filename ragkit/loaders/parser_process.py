"""The inside of a parser process: limits itself, imports parsers when one is first needed, forks per document.

Started by `parser_server` as a fresh interpreter with one thread, no secrets in its environment and nothing
else open, so that forking is safe. Foreign formats are parsed in a fork that ends with its document. Our own
text readers run in this process, their limits renewed for each document.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import math
import os
import socket
import struct
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ragkit.errors import LoadError
from ragkit.loaders import format_of, load_once
from ragkit.loaders.frames import LENGTHS, pack
from ragkit.loaders.limits import Limits, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = struct.Struct("!I")
READY = b"ragkit\n"
_OPEN_FILES = 32  # parsers need the document, the result pipe and a module being imported
_RETIRE_RSS = 300 << 20  # bytes: after a large text the process is replaced, since forks would inherit its heap


def serve_forks(control: socket.socket, limits: Limits) -> None:
    """Answer requests until the other end closes. Each brings two descriptors: the file and the result pipe."""
    control.sendall(READY)
    while request := _receive(control):
        fields, (document, result) = request
        per_file = replace(limits, cpu_seconds=fields["cpu"], wall_seconds=fields["wall"])
        source, attempt = str(fields["source"]), int(fields["attempt"])
        if format_of(source).foreign:
            _warm(source, attempt)
            status, usage = _in_fork(control, document, result, source, attempt, per_file)
        else:
            with _limited(per_file):
                _answer(document, result, source, attempt, per_file)
            status, usage = 0, None
        for descriptor in (document, result):
            os.close(descriptor)
        _reply(control, status, usage)


def _receive(control: socket.socket) -> tuple[dict[str, Any], tuple[int, int]] | None:
    head, descriptors, _flags, _address = socket.recv_fds(control, REQUEST.size, 2)
    if not head:
        return None
    size = REQUEST.unpack(head)[0]
    body = b""
    while len(body) < size:
        piece = control.recv(size - len(body))
        if not piece:
            return None
        body += piece
    return json.loads(body), (descriptors[0], descriptors[1])


def _reply(control: socket.socket, status: int, usage: Any) -> None:
    import resource  # not on Windows, where this function is not reached

    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is bytes there, KiB elsewhere
    try:
        # Not ru_maxrss, which begins at the size of the program that started this one and outlives exec.
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        own = pages * resource.getpagesize()
    except OSError:  # no /proc, as on macOS
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    fields = {
        "status": status,
        "cpu": usage.ru_utime + usage.ru_stime if usage else 0.0,
        "rss": usage.ru_maxrss * unit if usage else own,
        "retire": own > _RETIRE_RSS,
    }
    body = json.dumps(fields).encode()
    control.sendall(REQUEST.pack(len(body)) + body)


def _warm(source: str, attempt: int) -> None:
    """Import the parser before the fork, once; a failure is reported by the fork that meets it again."""
    module = f"ragkit.loaders.{format_of(source).loaders[attempt].split(':')[0]}"
    if module in sys.modules:
        return
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001 - whatever it is, the fork that meets it again reports it
        return
    gc.collect()
    gc.freeze()  # forks then share these pages


def _in_fork(
    control: socket.socket, document: int, result: int, source: str, attempt: int, limits: Limits
) -> tuple[int, Any]:
    child = os.fork()
    if child:
        _pid, status, usage = os.wait4(child, 0)
        return status, usage
    try:
        control.close()  # what a parser that was taken over says here would be taken for the server's word
        with _limited(limits, forever=True):
            _answer(document, result, source, attempt, limits)
        os._exit(0)
    finally:  # whatever was raised, a fork never returns into the server's loop
        os._exit(1)


def _answer(document: int, result: int, source: str, attempt: int, limits: Limits) -> None:
    with os.fdopen(document, "rb", closefd=False) as stream:
        parts = _outcome(stream, source, attempt, limits)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(result, view) :]
    except BrokenPipeError:
        return  # the reader has given up on this document


def _outcome(stream: BinaryIO, source: str, attempt: int, limits: Limits) -> tuple[bytes, bytes]:
    try:
        return pack(load_once(stream, source, limits, attempt), limits)
    except LoadError as error:
        return pack(error, limits)
    except MemoryError:  # while the text was packed
        return pack(unreadable("it needs too much memory", "split it and index again", "memory"), limits)


@contextmanager
def _limited(limits: Limits, *, forever: bool = False) -> Iterator[None]:
    """Bounds on this process for one document; `forever` also takes away the right to raise them again."""
    import resource  # not on Windows, where this function is not reached
    import signal

    used = resource.getrusage(resource.RUSAGE_SELF)
    bounds = {
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_CPU: math.ceil(used.ru_utime + used.ru_stime + limits.cpu_seconds),
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    before = {kind: resource.getrlimit(kind) for kind in bounds}
    for kind, bound in bounds.items():
        hard = before[kind][1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        above = 1 if kind == resource.RLIMIT_CPU and bound != hard else 0  # at the hard bound SIGKILL hides SIGXCPU
        resource.setrlimit(kind, (bound, bound + above if forever else hard))
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)  # SIGALRM ends the process, even inside C code
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not forever:
            for kind, bounds_before in before.items():
                resource.setrlimit(kind, bounds_before)


def serve_pipes(requests: BinaryIO, results: BinaryIO, limits: Limits) -> None:
    """The same without fork and limits: requests carry the document's bytes. For Windows."""
    results.write(READY)
    results.flush()
    while head := requests.read(LENGTHS.size):
        fields_size, size = LENGTHS.unpack(head)
        fields = json.loads(requests.read(fields_size))
        stream = io.BytesIO(requests.read(size))
        results.writelines(_outcome(stream, str(fields["source"]), int(fields["attempt"]), limits))
        results.flush()


def main(arguments: list[str]) -> None:
    """Serve as `arguments` say: the control socket's descriptor or "pipes", then the limits as JSON."""
    limits = Limits(**json.loads(arguments[1]))
    if arguments[0] != "pipes":
        with socket.socket(fileno=int(arguments[0])) as control:
            serve_forks(control, limits)
        return
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not get between the frames
    serve_pipes(sys.stdin.buffer, results, limits)
