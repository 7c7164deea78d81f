"""The listening socket: a thread for each connection, and an end to all of them."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragkit.sandbox.state import State

JOIN = 2.0  # seconds for the threads of connections to end


class Server(ThreadingHTTPServer):
    """One thread for a connection; many may knock at once."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], state: State) -> None:
        self.state = state
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away without a word is no mistake of ours, and not worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        """Bind without looking the host's name up, which can take seconds."""
        if os.name == "posix":  # on Windows it would let two servers share a port
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def close_all(self) -> None:
        """Close every connection and see its thread end."""
        with self._lock:
            opened = dict(self._open)
        for connection in opened:
            shut(connection)
        deadline = time.monotonic() + JOIN
        for thread in opened.values():
            thread.join(max(0.0, deadline - time.monotonic()))


def shut(connection: socket.socket) -> None:
    """End a connection in both directions, whoever still reads from it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
