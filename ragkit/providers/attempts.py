"""The tries of one request: which failure is worth another one, and how long to wait before it. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ragkit.errors import (
    ApiError,
    AuthenticationError,
    BadResponse,
    ConnectionFailed,
    ProviderError,
    RagkitError,
    RateLimited,
    TooLarge,
)
from ragkit.providers.authorization import Authorization
from ragkit.providers.lost import Lost
from ragkit.providers.proof import Proof
from ragkit.providers.retry import Retry
from ragkit.providers.unusable import Unusable
from ragkit.providers.words import redacted
from ragkit.secret import Secret
from ragkit.types import Usage

AGAIN = "run again; where it stays so, the service or a proxy before it is at fault"
REFUSALS = frozenset({408, 425, 429, 503, 529})  # statuses of who did not begin to serve the request


@dataclass(slots=True)
class Attempts:
    """What has happened to one request so far. `end` is the moment on `clock` when all must be over, `rest` the
    seconds that may be waited between tries.
    """

    retry: Retry
    clock: Callable[[], float]
    end: float
    rest: float = math.inf
    costly: bool = False  # not sent again where it may have been served: to be paid twice is worse than an error
    stubborn: bool = False  # what cannot be read is asked for as often as what did not come
    lasting: bool = False  # it leaves something behind: sent again only where the service says that it did nothing
    secrets: tuple[str, ...] = field(default=(), repr=False)  # besides the proof
    tried: int = 0
    proof: Proof = Proof(Secret(""))  # noqa: RUF009 - never changes
    foreign: bool = False  # what fails now is not this request: it was tried enough elsewhere
    parsing: bool = False  # the answer came whole, and is being read
    wasted: Usage = Usage()  # noqa: RUF009 - never changes; what answers of no use cost
    _replayed: bool = False  # after a 401
    _garbled: bool = False  # after an answer that could not be parsed

    def begin(self) -> None:
        self.tried += 1
        self.foreign = self.parsing = False

    def failed(self, error: ProviderError) -> ProviderError:
        """The error, after what it cost is noted."""
        if error.usage:
            self.wasted += error.usage
        return error

    def pause(self, error: ProviderError, authorization: Authorization) -> float | None:
        """Seconds before the next try; None where there is none. A 401 is told to the authorization, once."""
        if self.foreign:
            return None
        if isinstance(error, AuthenticationError):
            if error.status != 401 or self._replayed or not authorization.rejected(self.proof):
                return None
            self._replayed = True
            self.tried -= 1  # the token failed, not the request
            return 0.0
        if self.tried >= self.retry.tries or not self._passing(error):
            return None
        asked = error.retry_after if isinstance(error, ApiError) else None
        pause = self.retry.delay(self.tried, asked)
        left = min(self.rest, self.end - self.clock())
        if pause < left:
            self.rest -= pause
            return pause
        if isinstance(error, RateLimited) and asked is not None and asked >= left:
            error.message += f"; it asks to wait {asked:.0f} s, which is more than this request may take"
        return None

    def told(self, error: ProviderError) -> ProviderError:
        """The error as callers know it, with the number of tries, and without the secrets that a parser quoted."""
        if isinstance(error, Lost):
            hint = "it may have been served all the same; run again if you want to" if self._served(error) else ""
            error = ConnectionFailed(error.message, "; ".join(filter(None, (error.hint, hint))))
        elif isinstance(error, Unusable):
            error = error.plain()
        if isinstance(error, BadResponse | ConnectionFailed):
            error.hint = error.hint or AGAIN
        if self.wasted != Usage():
            error.usage = self.wasted
        if self.tried > 1 and not self.foreign:
            error.message += f" (tried {self.tried} times)"
        return self.cleaned(error)

    def cleaned(self, error: ProviderError) -> ProviderError:
        """The error without the secrets of this request, which a service may have repeated in its answer.

        So are its causes; those that are not ours are cut off, for they may hold the whole answer.
        """
        hidden = (*self.proof.parts(), *self.secrets)
        found: list[RagkitError] = [error]
        for each in found:
            each.message, each.hint = redacted(each.message, hidden), redacted(each.hint, hidden)
            each.args = (each.message,)
            if isinstance(each, ApiError):
                each.request_id = redacted(each.request_id, hidden)
            suppressed = each.__suppress_context__
            each.__cause__, each.__context__ = _ours(each.__cause__), _ours(each.__context__)
            each.__suppress_context__ = suppressed
            found += [e for e in (each.__cause__, each.__context__) if isinstance(e, RagkitError) and e not in found]
        return error

    def _passing(self, error: ProviderError) -> bool:
        if isinstance(error, TooLarge):
            return False  # a few services say 500 to it, and would do so again
        if isinstance(error, ApiError):
            return error.status in self.retry.statuses and (error.status in REFUSALS or not self.lasting)
        if isinstance(error, Lost):
            return error.passing and not self._served(error)
        if not isinstance(error, BadResponse) or isinstance(error, Unusable) or not self.parsing or self.lasting:
            return False
        if self._garbled and not self.stubborn:
            return False  # a second answer like that would not be the last
        self._garbled = True
        return True

    def _served(self, error: Lost) -> bool:
        return (self.costly or self.lasting) and error.sent


def _ours(error: BaseException | None) -> BaseException | None:
    return error if isinstance(error, RagkitError) else None
