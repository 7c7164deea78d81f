"""Everything that ragkit raises on purpose, as one tree.

    RagkitError
    ├── ConfigError             a setting, a flag or an argument is wrong
    ├── LoadError               a file gave no text
    │   ├── UnsupportedFormat       nothing here reads this kind of file
    │   └── UnreadableDocument      damaged, encrypted, empty, too large, changed while it was read
    ├── StoreError              the index
    │   ├── IndexNotFound           there is none at that place
    │   ├── IndexMismatch           made by another embedding model, dimension or format
    │   ├── IndexCorrupt            stored bytes are not the bytes that were written
    │   └── IndexLocked             another writer is at work
    ├── ProviderError           a service behind the net
    │   ├── ConnectionFailed        no answer: name, TLS, refusal, timeout
    │   ├── BadResponse             an answer that breaks the rules of its format, or is not for what was asked
    │   ├── StreamInterrupted       an answer that stopped before its end; `partial` is what had come
    │   └── ApiError                the service says no, with `status`, `request_id` and `retry_after`
    │       ├── InvalidRequest          400, 422: a field, a parameter, a size
    │       │   └── ContentRejected     the service refuses the topic
    │       ├── AuthenticationError     401: key or token
    │       ├── PaymentRequired         402: nothing left on the account
    │       ├── PermissionDenied        403
    │       ├── NotFound                404: model, file, path
    │       ├── TooLarge                413: `index`, `tokens` and `limit` where the service names them
    │       ├── RateLimited             429
    │       └── ServerError             5xx
    └── BudgetExceeded          the next request would pass the limit on tokens or money

A message says what happened, with both values where two disagree; `hint` says what to do about it. `usage` is what
was billed until then, where something may have been.
Exceptions of third-party libraries never cross a seam: they are raised again as one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragkit.types import Usage


class RagkitError(Exception):
    """What happened, and in `hint` what to do: a command, a setting, a changed file."""

    code = "failed"
    usage: Usage | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RagkitError):
    code = "config"


class LoadError(RagkitError):
    code = "unreadable"


class UnsupportedFormat(LoadError):
    code = "unsupported"


class UnreadableDocument(LoadError):
    code = "unreadable"


class StoreError(RagkitError):
    code = "index"


class IndexNotFound(StoreError):
    code = "index_not_found"


class IndexMismatch(StoreError):
    code = "index_mismatch"


class IndexCorrupt(StoreError):
    code = "index_corrupt"


class IndexLocked(StoreError):
    code = "index_locked"


class ProviderError(RagkitError):
    code = "provider"


class ConnectionFailed(ProviderError):
    code = "connection"


class BadResponse(ProviderError):
    code = "bad_response"


class StreamInterrupted(ProviderError):
    """`partial` is the text that had come before the stream stopped."""

    code = "stream_interrupted"

    def __init__(self, message: str, hint: str = "", *, partial: str = "") -> None:
        super().__init__(message, hint)
        self.partial = partial


class ApiError(ProviderError):
    """`retry_after` is in seconds, None where the service does not say."""

    code = "api"

    def __init__(
        self, message: str, hint: str = "", *, status: int, request_id: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidRequest(ApiError):
    code = "invalid_request"


class ContentRejected(InvalidRequest):
    code = "content_rejected"


class AuthenticationError(ApiError):
    code = "authentication"


class PaymentRequired(ApiError):
    code = "payment_required"


class PermissionDenied(ApiError):
    code = "permission_denied"


class NotFound(ApiError):
    code = "not_found"


class TooLarge(ApiError):
    """`index` is the place in the request of the text that is too long, `tokens` its length, `limit` the most."""

    code = "too_large"
    index: int | None = None
    tokens: int | None = None
    limit: int | None = None


class RateLimited(ApiError):
    code = "rate_limited"


class ServerError(ApiError):
    code = "server"


class BudgetExceeded(RagkitError):
    code = "budget"
