"""The door to the net: requests to one service, with its address, its authorization, its slots and its patience.

It knows what is worth another try, and nothing of the formats behind it: a parser is handed in with each request.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlencode

from ragkit.errors import (
    ApiError,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamInterrupted,
)
from ragkit.providers import sse
from ragkit.providers.address import address, proxy_for
from ragkit.providers.attempts import Attempts
from ragkit.providers.authorization import Authorization
from ragkit.providers.calls import Call, body, head, request_id, secrets_in
from ragkit.providers.failures import Hint, api_error, is_error
from ragkit.providers.jsontext import Reply, decode, encode
from ragkit.providers.lost import Lost
from ragkit.providers.multipart import Form
from ragkit.providers.network import Answer, Network, Timeouts
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots, Ticket
from ragkit.secret import Secret

__all__ = ["Events", "Http", "Reply", "Timeouts"]

T = TypeVar("T")

MOST = 64 << 20  # bytes of an answer
_NO_STREAM = re.compile(r"application/(?:[\w.-]+\+)?json|text/html", re.IGNORECASE)
MOST_OF_A_REFUSAL = 64 << 10
NEAR_END, REST = 0.1, 64 << 10  # seconds and bytes for what follows the last event that its reader wants
SLOWEST_UPLOAD = 32 << 10  # bytes a second; a form gets the time that it needs at that speed on top


class Events(Iterator[str]):
    """The data of the events of one stream. `request_id` is the service's name for it, empty where it gives none."""

    def __init__(self, data: Iterator[str], answer: Answer, ticket: Ticket) -> None:
        self._data, self._answer, self._ticket = data, answer, ticket
        self.request_id = request_id(answer.headers)
        ticket.laid_down()

    def __next__(self) -> str:
        with self._ticket.reading():
            return next(self._data)

    def finish(self) -> None:
        """Read what is left, where its end is near: a connection whose answer was read to its end is used again."""
        patience = self._answer.patience
        patience.allow(NEAR_END, patience.end)
        size = 0
        with suppress(Lost):
            for packet in self._answer.packets:
                size += len(packet)
                if size > REST:
                    break


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
        pinned: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Raises ConfigError for an address that is none, or where a secret would travel in the open.

        Args:
            tls: makes the TLS context at the first https connection; by default the one of `tls.context()`.
            proxy: instead of what the environment says (HTTPS_PROXY, NO_PROXY).
            pinned: the addresses to connect to, where the name was looked up and judged already.
            clock, sleep: for the waits between tries; `close` ends a wait, unless `sleep` is given.
        """
        self._address = address(base_url)
        self._authorization = authorization
        self._slots = slots
        self._headers = dict(headers or {})
        self._watched = [Secret(value) for value in secrets_in(self._headers)]  # kept out of logs while this lives
        self._retry = retry or Retry()
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        travels = not authorization.empty or any(secrets_in(self._headers))
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
            pinned=pinned,
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
        costly: bool = False,
        stubborn: bool = False,
        hint: Hint | None = None,
    ) -> T:
        """What `parse` makes of the answer with a 2xx status; it is called after the slot is given back.

        A parser says no by raising: after BadResponse the request is made once more, after an ApiError with a
        status that passes it is tried as if the service had said so; `Reply.json` raises one for a body that is an
        error. What the answers cost that were of no use, as
        far as their errors have `usage`, the next parser finds in the reply, and the last error has it all.

        Args:
            path: below the base URL, with its slash, names in it quoted.
            json, content, form: the body, at most one of them.
            most: bytes of the answer; a longer one is a BadResponse.
            read: seconds of silence before the answer, where it takes longer than `Timeouts.read`.
            costly: waited for longer, and not sent again where the service has it whole and its answer was lost.
            stubborn: made again after each BadResponse, as often as after a lost answer: where many requests must all
                come to their end, two bad answers in a row are no sign that the third will be bad.
            hint: the cure for a refusal, where the caller knows better.

        Raises:
            ProviderError: one of its kinds, with the service's own words in the message.
        """
        kind, sent = "", content
        if json is not None:
            kind, sent = "application/json", encode(json)
        elif form is not None:
            kind, sent = "application/x-www-form-urlencoded", urlencode(form).encode("ascii")
        if costly and read is None:
            read = max(self._timeouts.costly, self._timeouts.read)
        call = self._call(method, path, headers, kind, sent, read=read, most=most, hint=hint)
        attempts = self._attempts(max(self._timeouts.total, read or 0.0), costly=costly, stubborn=stubborn)
        return self._insist(lambda: self._fetched(call, attempts, parse), attempts)

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
        """POST a form with `fields` first and then the file, which is read from disk while it is sent.

        Sent again only where the service did not take it, so that no file is there twice.
        """
        form = Form(fields, file, name, media_type)
        call = self._call("POST", path, headers, form.content_type, form)
        attempts = self._attempts(self._timeouts.total + len(form) / SLOWEST_UPLOAD, lasting=True)
        return self._insist(lambda: self._fetched(call, attempts, parse), attempts)

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
        call = self._call("POST", path, wanted, "application/json", encode(json), hint=hint)
        attempts = self._attempts(self._timeouts.total)
        with ExitStack() as stack:
            found = self._insist(lambda: self._streamed(call, attempts, stack), attempts)
            try:
                yield found
                found.finish()
            except ProviderError as error:
                attempts.cleaned(error)  # what the caller made of an event may quote one
                raise

    def close(self) -> None:
        """Ends what is under way in other threads too, with ConnectionFailed. May be called again."""
        self._closed.set()
        self._slots.wake()
        self._network.close()

    # One try ---------------------------------------------------------------------------------------------------

    def _fetched(self, call: Call, attempts: Attempts, parse: Callable[[Reply], T]) -> T:
        with ExitStack() as stack:
            answer, ticket = self._sent(call, attempts, stack)
            if not 200 <= answer.status < 300:
                self._refused(call, attempts, answer, ticket)
            raw = body(answer.headers, answer.packets, call.most, service=self.service)
        attempts.parsing = True
        try:
            return parse(self._judged(call, attempts, self._reply(answer, raw)))
        except RateLimited:
            self._slots.rejected(ticket)
            raise

    def _streamed(self, call: Call, attempts: Attempts, outer: ExitStack) -> Events:
        with ExitStack() as stack:
            answer, ticket = self._sent(call, attempts, stack, self._timeouts.stream)
            if not 200 <= answer.status < 300:
                self._refused(call, attempts, answer, ticket)
            if _NO_STREAM.match(kind := answer.headers.get("content-type", "")):
                attempts.parsing = "html" in kind.lower()  # a page of a gateway: nothing was written or billed
                raise self._unstreamed(call, attempts, answer)
            events = self._listen(call, attempts, answer)
            attempts.parsing = True
            first = next(events, None)
            if first is None:
                raise BadResponse(f"{self.service} ended its answer to {call.what} before the first event")
            if error := self._error_in(first, call, attempts, answer):
                ticket.refused = True
                if isinstance(error, RateLimited):
                    self._slots.rejected(ticket)
                raise error
            outer.push(stack.pop_all())
        return Events(_resumed(first, events), answer, ticket)

    def _sent(
        self, call: Call, attempts: Attempts, stack: ExitStack, seconds: float | None = None
    ) -> tuple[Answer, Ticket]:
        """The head of an answer; the slot and the connection are given back when `stack` is left.

        All of it must be over in `seconds`, or in what is left for the request: waiting for a slot and for a
        token does not count.
        """
        waiting = self._clock()
        attempts.foreign = True
        self._authorization.header()  # where a token must be renewed, no slot waits for it
        ticket = stack.enter_context(self._slots.hold(self._timeouts.total, self._closed.is_set))
        attempts.proof = self._authorization.header()  # the wait for a slot may outlive a token
        if self._closed.is_set():
            raise ConnectionFailed(f"the connection to {self.service} was closed")
        attempts.foreign = False
        attempts.end += self._clock() - waiting
        answer = self._network.send(
            call.method,
            self._address.target(call.path),
            call.proved(attempts.proof.header.reveal()),
            call.content,
            seconds=attempts.end - self._clock() if seconds is None else seconds,
            read=call.read,
        )
        stack.callback(answer.close)
        return answer, ticket

    def _refused(self, call: Call, attempts: Attempts, answer: Answer, ticket: Ticket) -> NoReturn:
        """Raises the error for a status that is no success, and tells the slots of a 429."""
        ticket.refused = True
        if answer.status == 429:
            self._slots.rejected(ticket)
        raise self._api_error(call, attempts, self._beginning(answer))

    def _unstreamed(self, call: Call, attempts: Attempts, answer: Answer) -> ProviderError:
        """For an answer with status 200 that is no stream: an error in it, or simply the wrong thing."""
        reply = self._beginning(answer)
        if re.search(rb'"(?:error|message|detail)"', reply.body) and b'"choices"' not in reply.body:
            return self._api_error(call, attempts, reply)
        return BadResponse(
            f"{self.service} answered {call.what} with {answer.headers.get('content-type', '')[:40]!a}, not a stream",
            "check base_url and the model: not every service can stream",
        )

    def _listen(self, call: Call, attempts: Attempts, answer: Answer) -> Iterator[str]:
        """Data of events. Each has its time, which a comment starts anew; an event called error is one."""
        whole = answer.patience.end

        def more_time() -> None:
            answer.patience.allow(self._timeouts.event, whole)

        more_time()
        for event in sse.events(self._counted(answer.packets), heard=more_time):
            if event.name == "error":
                raise self._api_error(call, attempts, self._reply(answer, event.data.encode()))
            yield event.data
            more_time()  # what the caller did with the event does not count

    def _counted(self, packets: Iterator[bytes]) -> Iterator[bytes]:
        """The packets of a stream, as far as anybody may want to keep them."""
        size = 0
        for packet in packets:
            size += len(packet)
            if size > MOST:
                raise BadResponse(f"{self.service} streamed more than {MOST} bytes", "ask for a shorter answer")
            yield packet

    def _judged(self, call: Call, attempts: Attempts, reply: Reply) -> Reply:
        """The reply as its parser gets it: gateways say 200 and then that the service behind them did not answer."""

        def judge(value: Any) -> None:
            if is_error(value):
                raise self._api_error(call, attempts, reply)

        return replace(reply, wasted=attempts.wasted, judge=judge)

    def _error_in(self, data: str, call: Call, attempts: Attempts, answer: Answer) -> ApiError | None:
        """A stream may begin with an error, which is no more than a refusal that came late."""
        if '"error"' not in data and '"status"' not in data:
            return None
        try:
            value = decode(data.encode())
        except ValueError:
            return None
        reply = self._reply(answer, data.encode())
        return self._api_error(call, attempts, reply) if is_error(value) else None

    # The tries -------------------------------------------------------------------------------------------------

    def _attempts(
        self, total: float, *, costly: bool = False, stubborn: bool = False, lasting: bool = False
    ) -> Attempts:
        return Attempts(
            self._retry,
            self._clock,
            self._clock() + total,
            rest=self._timeouts.total,
            costly=costly,
            stubborn=stubborn,
            lasting=lasting,
            secrets=tuple(secrets_in(self._headers)),
        )

    def _insist(self, attempt: Callable[[], T], attempts: Attempts) -> T:
        while True:
            attempts.begin()
            try:
                return attempt()
            except ProviderError as error:
                failure = attempts.failed(error)
            pause = None if self._closed.is_set() else attempts.pause(failure, self._authorization)
            if pause:
                self._sleep(pause)
            if pause is None or self._closed.is_set():
                raise attempts.told(failure) from None

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
    ) -> Call:
        pairs = head(self.service, kind, content, method, self._headers, headers or {})
        return Call(method, path, pairs, content, self._timeouts.read if read is None else read, most, hint)

    def _reply(self, answer: Answer, raw: bytes) -> Reply:
        return Reply(answer.status, answer.headers, raw, request_id(answer.headers), self.service)

    def _beginning(self, answer: Answer) -> Reply:
        """As much of an answer as its words need; none of it, where the connection is lost in the middle of it."""
        try:
            return self._reply(
                answer, body(answer.headers, answer.packets, MOST_OF_A_REFUSAL, service=self.service, cut=True)
            )
        except Lost:
            return self._reply(answer, b"")

    def _api_error(self, call: Call, attempts: Attempts, reply: Reply) -> ApiError:
        return api_error(
            reply.status,
            reply.headers,
            reply.body,
            what=f"{call.method} {self._address.prefix}{call.path.partition('?')[0]}",
            service=self.service,
            secrets=(*attempts.proof.parts(), *attempts.secrets),
            hint=call.hint,
        )


def _resumed(first: str, rest: Iterator[str]) -> Iterator[str]:
    """A stream whose first event was taken already; from here on it is not begun again."""
    yield first
    try:
        yield from rest
    except (Lost, BadResponse) as error:
        raise StreamInterrupted(error.message, "what had come is kept; ask again for the whole answer") from None


def _usual_tls() -> ssl.SSLContext:
    from ragkit.providers.tls import context  # plain http needs none

    return context()
