"""The sandbox as an object: it starts, tells its addresses, takes faults, counts, and stops."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from ragkit.sandbox.accounts import DEFAULT_API_KEY, DEFAULT_CREDENTIALS, TOKEN_LIFE, Accounts
from ragkit.sandbox.connection import Handler
from ragkit.sandbox.listening import Server
from ragkit.sandbox.state import MAX_BODY, MAX_ITEMS, Limits, State

if TYPE_CHECKING:
    from types import TracebackType

    from ragkit.sandbox.stats import Snapshot

HOST = "127.0.0.1"  # the sandbox is never offered to the network
TICK = 0.5  # seconds: Windows sees Ctrl-C only between two waits
POLL = 0.05  # seconds until the accepting thread sees that it should stop


class Sandbox:
    """A server that speaks GigaChat and OpenAI on 127.0.0.1, from `start` (or `with`) to `close`.

    Args:
        port: 0 takes a free one.
        credentials: the only GigaChat key that works; None: every well-formed one.
        api_key: the only OpenAI-style key that works; None: every one that is not empty.
        scope: the only scope of the key, as GIGACHAT_API_PERS; None: every known one.
        auth_scheme: what stands before an OpenAI-style key in `Authorization`; "" for services that take it alone.
        slots: requests at once, over which the answer is 429; a stream counts until its last piece. None: no limit.
        latency: seconds that every request takes.
        stream_wait: seconds before each piece of a stream.
        token_life: seconds that a token of OAuth lives.
        oauth_per_second: token requests in a second, over which the answer is 429; None: no limit.
        max_items: texts in one request for GigaChat's embeddings, over which the answer is 413.
        max_body: bytes of a JSON body, over which the answer is 413.
        balance: whether GET /balance is answered; False: 403, as for contracts that pay as they go.
        seed: other vectors and ids for another number.

    Raises:
        OSError: from `start`, where the port is taken.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        credentials: str | None = None,
        api_key: str | None = None,
        scope: str | None = None,
        auth_scheme: str = "Bearer",
        slots: int | None = None,
        latency: float = 0.0,
        stream_wait: float = 0.0,
        token_life: float = TOKEN_LIFE,
        oauth_per_second: int | None = None,
        max_items: int = MAX_ITEMS,
        max_body: int = MAX_BODY,
        balance: bool = True,
        seed: int = 0,
    ) -> None:
        limits = Limits(
            slots=slots,
            latency=latency,
            max_items=max_items,
            max_body=max_body,
            balance=balance,
            stream_wait=stream_wait,
        )
        self.credentials = credentials or DEFAULT_CREDENTIALS
        self.api_key = api_key or DEFAULT_API_KEY
        self._port = port
        accounts = Accounts(
            credentials=credentials,
            api_key=api_key,
            scope=scope,
            auth_scheme=auth_scheme,
            life=token_life,
            per_second=oauth_per_second,
        )
        self._state = State(limits, accounts, seed)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen, in a thread of its own; one that runs already goes on."""
        if self._server is not None:
            return self
        self._server = Server((HOST, self._port), Handler, self._state)
        run = self._server.serve_forever
        self._thread = threading.Thread(target=run, args=(POLL,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening and close every connection; what was counted can still be read."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.close_all()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT.

        Raises:
            RuntimeError: the sandbox was not started.
        """
        if self._server is None:
            message = "the sandbox is not running: use `with Sandbox() as sandbox`"
            raise RuntimeError(message)
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def gigachat_url(self) -> str:
        return f"{self.url}/api/v1"

    @property
    def auth_url(self) -> str:
        return f"{self.url}/api/v2/oauth"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def stats(self) -> Snapshot:
        """What was received and counted until now."""
        return self._state.stats.snapshot()

    def inject(self, fault: str, times: int | None = 1, path: str | None = None, **options: float) -> None:
        """Let the next `times` matching requests meet a fault; None: all of them, until `clear`.

        Args:
            fault: a name of `ragkit.sandbox.FAULTS`.
            path: part of the path of the requests that are meant, as "/embeddings".
            options: those of the fault, as `seconds=2`.

        Raises:
            ValueError: an unknown fault or option.
        """
        self._state.faults.add(fault, times, path, dict(options))

    def clear(self) -> None:
        """Take back every fault that still waits."""
        self._state.faults.clear()

    def reset(self) -> None:
        """Forget faults, counters, tokens, files and sessions."""
        self._state.reset()

    def environment(self) -> dict[str, str]:
        """The variables under which ragkit, the official SDK and the openai client find this sandbox."""
        return {
            "GIGACHAT_CREDENTIALS": self.credentials,
            "GIGACHAT_BASE_URL": self.gigachat_url,
            "GIGACHAT_AUTH_URL": self.auth_url,
            "GIGACHAT_MODEL": "GigaChat-2",  # the official SDK names none by itself
            "OPENAI_BASE_URL": self.openai_url,
            "OPENAI_API_KEY": self.api_key,
        }


def serve(port: int = 8080, **options: Any) -> None:
    """Run a sandbox in this thread until it is interrupted; the options are those of `Sandbox`."""
    with Sandbox(port, **options):
        while True:
            time.sleep(TICK)
