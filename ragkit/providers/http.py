"""The door to the net: requests to one service, with its address, its authorization, its slots and its patience.

It knows what is worth another try, and nothing of the formats behind it: a parser is handed in with each request.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlencode

from ragkit.errors import (
    ApiError,
    AuthenticationError,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamInterrupted,
)
from ragkit.providers import sse
from ragkit.providers.address import address, proxy_for
from ragkit.providers.authorization import Authorization, Proof
from ragkit.providers.failures import Hint, api_error
from ragkit.providers.jsontext import Reply, encode
from ragkit.providers.multipart import Form
from ragkit.providers.network import Answer, Lost, Network, Timeouts
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots, Ticket
from ragkit.secret import Secret

__all__ = ["Events", "Http", "Reply", "Timeouts"]

T = TypeVar("T")

MOST = 64 << 20  # bytes of an answer
MOST_OF_A_FAILURE = 64 << 10
SLOWEST_UPLOAD = 32 << 10  # bytes a second; a form gets the time that it needs at that speed on top
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it goes out on every try; iterating over `content` anew starts it from its beginning."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    content: bytes | Form | None = field(repr=False)
    hint: Hint | None
    most: int
    read: float  # seconds of silence

    @property
    def what(self) -> str:
        return f"{self.method} {self.path.partition('?')[0] or '/'}"


@dataclass(slots=True)
class _State:
    """What has happened to one request so far. `end` is on the clock of `Http`."""

    end: float
    tried: int = 0
    proof: Proof = Proof(Secret(""))  # noqa: RUF009 - never changes
    replayed: bool = False  # after a 401
    garbled: bool = False  # after an answer that could not be parsed
    parsing: bool = False
    foreign: bool = False  # the failure is not of this request: it was tried enough elsewhere


class Events(Iterator[str]):
    """The data of the events of one stream. `request_id` is the service's name for it, empty where it gives none."""

    def __init__(self, data: Iterator[str], request_id: str) -> None:
        self._data = data
        self.request_id = request_id

    def __next__(self) -> str:
        return next(self._data)


class Http:
    """One service: its address, its authorization, its slots. Thread-safe; opens connections when it needs them."""

    def __init__(
        self,
        base_url: str,
        authorization: Authorization,
        *,
        slots: Slots,
        tls: Callable[[], ssl.SSLContext] | None = None,
        headers: Mapping[str, str] | None = None,
        retry: Retry | None = None,
        timeouts: Timeouts | None = None,
        proxy: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Raises ConfigError for an address that is none, or where a secret would travel in the open.

        Args:
            tls: makes the TLS context at the first https connection; by default the one of `tls.context()`.
            proxy: instead of what the environment says (HTTPS_PROXY, NO_PROXY).
            clock, sleep: for the waits between tries; `close` ends a wait, unless `sleep` is given.
        """
        self._address = address(base_url)
        self._authorization = authorization
        self._slots = slots
        self._headers = dict(headers or {})
        self._retry = retry or Retry()
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        travels = not authorization.empty or any(_SECRET_HEADER.search(name) for name in self._headers)
        if self._address.scheme == "http" and travels and not self._address.loopback:
            raise ConfigError(
                f"a key would travel to {self._address.netloc} unencrypted",
                "write the address with https, or leave the key empty where the service needs none",
            )
        self._network = Network(
            self._address,
            connections=slots.limit,
            timeouts=self._timeouts,
            proxy=proxy_for(self._address, proxy),
            tls=tls or _usual_tls,
        )
        weakref.finalize(self, self._network.close)  # for who forgets to close

    @property
    def service(self) -> str:
        """The host, with its port where it is not the usual one."""
        return self._address.netloc

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        parse: Callable[[Reply], T],
        most: int = MOST,
        read: float | None = None,
        hint: Hint | None = None,
    ) -> T:
        """What `parse` makes of the answer with a 2xx status; it is called after the slot is given back.

        A parser says no by raising: after BadResponse the request is made once more, after an ApiError with a
        status that passes it is tried as if the service had said so.

        Args:
            path: below the base URL, with its slash, names in it quoted.
            json, content, form: the body, at most one of them.
            most: bytes of the answer; a longer one is a BadResponse.
            read: seconds of silence before the answer, where it takes longer than `Timeouts.read`.
            hint: the cure for a refusal, where the caller knows better.

        Raises:
            ProviderError: one of its kinds, with the service's own words in the message.
        """
        kind, body = "", content
        if json is not None:
            kind, body = "application/json", encode(json)
        elif form is not None:
            kind, body = "application/x-www-form-urlencoded", urlencode(form).encode("ascii")
        call = self._call(method, path, headers, kind, body, read=read, most=most, hint=hint)
        total = max(self._timeouts.total, read or 0.0)
        return self._insist(lambda state: self._fetched(call, state, parse), total)

    def upload(
        self,
        path: str,
        *,
        fields: Mapping[str, str],
        file: Path,
        name: str,
        media_type: str,
        parse: Callable[[Reply], T],
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """POST a form with `fields` first and then the file, which is read from disk while it is sent."""
        form = Form(fields, file, name, media_type)
        call = self._call("POST", path, headers, form.content_type, form)
        total = self._timeouts.total + len(form) / SLOWEST_UPLOAD
        return self._insist(lambda state: self._fetched(call, state, parse), total)

    @contextmanager
    def events(
        self, path: str, *, json: object, headers: Mapping[str, str] | None = None, hint: Hint | None = None
    ) -> Iterator[Events]:
        """The data of the events that answer a POST, as they come. The slot is held until the block is left.

        Tries again before the first event only: after that, a repeated request would repeat what was said.

        Raises:
            StreamInterrupted: by the iterator, where the stream breaks after its first event; its `partial` is
                empty, as nothing here knows which part of an event is text. A stream that simply ends raises
                nothing: whether it was complete is for its format to say.
        """
        wanted = {"Accept": "text/event-stream", "Cache-Control": "no-store", **(headers or {})}
        silence = self._timeouts.event
        call = self._call("POST", path, wanted, "application/json", encode(json), read=silence, hint=hint)
        with ExitStack() as stack:
            yield self._insist(lambda state: self._streamed(call, state, stack), self._timeouts.total)

    def close(self) -> None:
        """Ends what is under way in other threads too, with ConnectionFailed. May be called again."""
        self._closed.set()
        self._network.close()

    # One try ---------------------------------------------------------------------------------------------------

    def _fetched(self, call: _Call, state: _State, parse: Callable[[Reply], T]) -> T:
        with ExitStack() as stack:
            answer, ticket = self._sent(call, state, stack)
            if not 200 <= answer.status < 300:
                self._refused(call, state, answer, ticket)
            body = self._body(answer, call.most)
        reply = self._reply(answer, body)
        state.parsing = True
        try:
            return parse(reply)
        except RateLimited:
            self._slots.rejected(ticket)
            raise

    def _streamed(self, call: _Call, state: _State, outer: ExitStack) -> Events:
        with ExitStack() as stack:
            answer, ticket = self._sent(call, state, stack, self._timeouts.stream)
            whole = answer.patience.end
            answer.patience.allow(self._timeouts.event, whole)
            if not 200 <= answer.status < 300:
                self._refused(call, state, answer, ticket)
            kind = answer.headers.get("content-type", "")
            if re.match(r"application/(?:[\w.-]+\+)?json|text/html", kind, re.IGNORECASE):
                reply = self._reply(answer, self._body(answer, MOST_OF_A_FAILURE, cut=True))
                raise self._unstreamed(call, state, reply)
            events = self._listen(call, state, answer, whole)
            state.parsing = True
            first = next(events, None)
            if first is None:
                raise BadResponse(f"{self.service} ended its answer to {call.what} before the first event")
            outer.push(stack.pop_all())
        return Events(self._after(first, events), _request_id(answer.headers))

    def _sent(
        self, call: _Call, state: _State, stack: ExitStack, seconds: float | None = None
    ) -> tuple[Answer, Ticket]:
        """The head of an answer; the slot and the connection are given back when `stack` is left.

        All of it must be over in `seconds`, or in what is left for the request.
        """
        waiting = self._clock()
        state.foreign = True
        self._authorization.header()  # where a token must be renewed, no slot waits for it
        ticket = stack.enter_context(self._slots.hold())
        state.proof = self._authorization.header()  # the wait for a slot may outlive a token
        state.foreign = False
        state.end += self._clock() - waiting
        if self._closed.is_set():
            state.foreign = True
            raise ConnectionFailed(f"the connection to {self.service} was closed")
        proved = state.proof.header.reveal()
        headers = [*call.headers, (b"Authorization", proved.encode("ascii"))] if proved else call.headers
        answer = self._network.send(
            call.method,
            self._address.target(call.path),
            headers,
            call.content,
            seconds=state.end - self._clock() if seconds is None else seconds,
            read=call.read,
        )
        stack.callback(answer.close)
        return answer, ticket

    def _body(self, answer: Answer, most: int, *, cut: bool = False) -> bytes:
        """The whole body; with `cut` as much of it as is allowed, and nothing where it is compressed."""
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            if cut:
                return b""
            raise _Unusable(
                f"{self.service} sent a body encoded as {encoding[:20]!r}, which was not asked for",
                "a proxy in between may do that; switch its compression off",
            )
        told = answer.headers.get("content-length", "")
        if not cut and told.isdigit() and int(told) > most:
            raise _Unusable(f"{self.service} announced {told[:20]} bytes, {most} are allowed")
        pieces: list[bytes] = []
        size = 0
        for piece in answer.packets:
            pieces.append(piece)
            size += len(piece)
            if size > most:
                if cut:
                    break
                raise _Unusable(f"{self.service} sent more than {most} bytes")
        return b"".join(pieces)[:most]

    def _refused(self, call: _Call, state: _State, answer: Answer, ticket: Ticket) -> NoReturn:
        """Raises the error for a status that is no success, and tells the slots of a 429."""
        ticket.refused = True
        if answer.status == 429:
            self._slots.rejected(ticket)
        try:
            body = self._body(answer, MOST_OF_A_FAILURE, cut=True)
        except Lost:
            body = b""  # the status is known, and worth more than the words that did not come
        raise self._api_error(call, state, self._reply(answer, body))

    def _unstreamed(self, call: _Call, state: _State, reply: Reply) -> ProviderError:
        """For an answer with status 200 that is no stream: an error in it, or simply the wrong thing."""
        if re.search(rb'"(?:error|message|detail)"', reply.body) and not re.search(rb'"choices"', reply.body):
            return self._api_error(call, state, reply)
        return BadResponse(
            f"{self.service} answered {call.what} with {reply.headers.get('content-type', 'something')}, not a stream",
            "check base_url and the model: not every service can stream",
        )

    def _listen(self, call: _Call, state: _State, answer: Answer, whole: float) -> Iterator[str]:
        """Data of events. Each has its time, which a comment starts anew; an event called error is one."""

        def more_time() -> None:
            answer.patience.allow(self._timeouts.event, whole)

        for event in sse.events(answer.packets, heard=more_time):
            if event.name == "error":
                reply = Reply(answer.status, answer.headers, event.data.encode(), service=self.service)
                raise self._api_error(call, state, reply)
            yield event.data
            more_time()  # what the caller did with the event does not count

    def _after(self, first: str, rest: Iterator[str]) -> Iterator[str]:
        yield first
        try:
            yield from rest
        except (Lost, BadResponse) as error:
            raise StreamInterrupted(error.message, "what had come is kept; ask again for the whole answer") from None

    # Whether to try again --------------------------------------------------------------------------------------

    def _insist(self, attempt: Callable[[_State], T], total: float) -> T:
        state = _State(self._clock() + total)
        while True:
            state.tried += 1
            state.parsing = state.foreign = False
            try:
                return attempt(state)
            except ProviderError as error:
                failure = error
            pause = self._pause(failure, state)
            if pause is None:
                raise _told(failure, state.tried) from None
            if pause:
                self._sleep(pause)
                if self._closed.is_set():
                    raise _told(failure, state.tried) from None

    def _pause(self, error: ProviderError, state: _State) -> float | None:
        """Seconds before the next try; None where there is none."""
        if state.foreign or self._closed.is_set():
            return None
        asked = None
        if isinstance(error, AuthenticationError):
            if error.status != 401 or state.replayed or not self._authorization.rejected(state.proof):
                return None
            state.replayed = True
            state.tried -= 1
            return 0.0
        if isinstance(error, ApiError):
            if error.status not in self._retry.statuses:
                return None
            asked = error.retry_after
        elif isinstance(error, Lost):
            if not error.passing:
                return None
        elif isinstance(error, BadResponse):
            if isinstance(error, _Unusable) or not state.parsing or state.garbled:
                return None
            state.garbled = True
        else:
            return None
        if state.tried >= self._retry.tries:
            return None
        pause = self._retry.delay(state.tried, asked)
        left = state.end - self._clock()
        if pause < left:
            return pause
        if isinstance(error, RateLimited) and asked is not None and asked >= left:
            error.message += f"; it asks to wait {asked:.0f} s, which is more than this request may take"
        return None

    # Small parts -----------------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        kind: str,
        content: bytes | Form | None,
        *,
        read: float | None = None,
        most: int = MOST,
        hint: Hint | None = None,
    ) -> _Call:
        own = {"Accept": "*/*", "User-Agent": "ragkit", **self._headers}
        given = {name.lower(): (name, value) for name, value in {**own, **(headers or {})}.items()}
        if kind:
            given["content-type"] = ("Content-Type", kind)
        # Not more than one could want: a compressed body may be a thousand times longer than it says.
        given["accept-encoding"] = ("Accept-Encoding", "identity")
        pairs = [(b"Host", self._address.netloc.encode("ascii"))]
        pairs += [(_header(name, name), _header(name, value)) for name, value in given.values()]
        if content is not None or method in ("POST", "PUT", "PATCH"):
            pairs.append((b"Content-Length", str(len(content or b"")).encode("ascii")))
        return _Call(method, path, pairs, content, hint, most, self._timeouts.read if read is None else read)

    def _reply(self, answer: Answer, body: bytes) -> Reply:
        return Reply(answer.status, answer.headers, body, _request_id(answer.headers), self.service)

    def _api_error(self, call: _Call, state: _State, reply: Reply) -> ApiError:
        secrets: Iterable[str] = (
            *state.proof.parts(),
            *(value for name, value in self._headers.items() if _SECRET_HEADER.search(name)),
        )
        return api_error(
            reply.status,
            reply.headers,
            reply.body,
            what=call.what,
            service=self.service,
            secrets=secrets,
            hint=call.hint,
        )


def _request_id(headers: Mapping[str, str]) -> str:
    return re.sub(r"[^\x21-\x7e]", "", headers.get("x-request-id", ""))[:80]


class _Unusable(BadResponse):
    """An answer that would be no better the second time."""


def _told(error: ProviderError, tried: int) -> ProviderError:
    """The error as callers know it, with the number of tries."""
    if isinstance(error, Lost):
        error = ConnectionFailed(error.message, error.hint)
    elif isinstance(error, _Unusable):
        error = BadResponse(error.message, error.hint)
    if tried > 1:
        error.message += f" (tried {tried} times)"
    error.args = (error.message,)
    return error


def _header(name: str, value: str) -> bytes:
    """Raises ConfigError, which does not show the value: it may be a key."""
    try:
        raw = value.encode("ascii")
    except UnicodeEncodeError:
        raise ConfigError(f"the header {name!a} has letters that are not ASCII", "quote or leave them out") from None
    if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", raw):
        raise ConfigError(f"the header {name!a} has control characters in it", "check the extra headers") from None
    return raw


def _usual_tls() -> ssl.SSLContext:
    from ragkit.providers.tls import context  # plain http needs none

    return context()
