"""What a service says when it says no: the shapes of its bodies to one error with words, a number and a cure.

Pure. The shapes are those of GigaChat (`status`, `message`), of its OAuth (`code`, `message`), of OpenAI and those
who copy it (`error`, as an object or as text; `object: error`), and whatever a gateway in between may say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ragkit.errors import (
    ApiError,
    AuthenticationError,
    ContentRejected,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
    ServerError,
    TooLarge,
)
from ragkit.providers.retry import retry_after
from ragkit.providers.words import Words, line, redacted, spoken

__all__ = ["Hint", "Words", "api_error", "cure", "is_error", "sizes", "spoken"]

MOST_WORDS = 300  # characters of a service's own words in a message

_LENGTH = re.compile(
    r"(?:maximum |model'?s? )?context (?:length|window|size)|input length exceeds|input is too (?:large|long)"
    r"|too large to process|batch size|too many inputs|too many (?:input )?tokens|tokens? limit exceeded"
    r"|exceeds the (?:maximum|max|limit)[^.]{0,40}(?:tokens|inputs|length)|maximum (?:input|sequence) length"
    r"|must have less than \d+ tokens|at most \d+ (?:requests|inputs|items|texts|elements)|reduce the length"
    r"|(?:payload|request|body|entity) too large|string_above_max_length|array_above_max_length"
    r"|context_length_exceeded|length_exceeded|should not be larger than \d+"
    r"|слишком (?:длинн|больш)|превышен[ао]? (?:максимальн|лимит|длин)",
    re.IGNORECASE,
)
_ANSWER_LENGTH = re.compile(r"\bmax_(?:completion_)?tokens\b|max_output_tokens", re.IGNORECASE)
_CONTENT = re.compile(
    r"content[ _]policy|content_filter|content management policy|safety system|moderation_blocked"
    r"|responsibleaipolicyviolation|content_rejected",
    re.IGNORECASE,
)
_SIZES = (  # index, tokens, limit: the first is GigaChat's, then OpenAI's, then that of text-embeddings-inference
    re.compile(r"index (?P<index>\d{1,15}): (?P<tokens>\d{1,15}) \(max (?P<limit>\d{1,15})\)"),
    re.compile(r"maximum context length is (?P<limit>\d{1,15}) tokens?.{0,40}?requested (?P<tokens>\d{1,15}) tokens"),
    re.compile(r"less than (?P<limit>\d{1,15}) tokens?\W+given:? (?P<tokens>\d{1,15})", re.IGNORECASE),
    re.compile(r"input\[(?P<index>\d{1,15})\]"),
)
_CLASSES: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    401: AuthenticationError,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    413: TooLarge,
    422: InvalidRequest,
    429: RateLimited,
}
_KINDS = (  # words in `type` or `code` of an error that came with status 200 -> the status that it deserved
    (re.compile(r"rate.?limit|too.?many.?requests|overloaded", re.IGNORECASE), 429),
    (re.compile(r"authenti|api.?key|unauthori", re.IGNORECASE), 401),
    (re.compile(r"quota|billing|balance|payment|credits", re.IGNORECASE), 402),
    (re.compile(r"permission|forbidden", re.IGNORECASE), 403),
    (re.compile(r"not.?found", re.IGNORECASE), 404),
    (re.compile(r"invalid|bad.?request|content|moderation", re.IGNORECASE), 400),
)


Hint: TypeAlias = Callable[[int, Words], str]


def api_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    what: str,
    service: str,
    secrets: Iterable[str] = (),
    hint: Hint | None = None,
    now: float | None = None,
) -> ApiError:
    """The error for an answer that is no success.

    Args:
        status: 3xx, 4xx or 5xx; or 200 where the body holds an error all the same.
        headers: names in lower case.
        what: method and path, to be named in the message.
        service: host that answered.
        secrets: texts that a careless service may repeat; they are taken out of its words.
        hint: the cure by status and words, where the caller knows better than `cure`.
        now: seconds since 1970, for a Retry-After that is a date.
    """
    words = spoken(body)
    deserved = words.status or _deserved(words) if status < 300 else status
    request_id = line(redacted(headers.get("x-request-id", "") or words.request_id, secrets), 80)
    said = line(redacted(_target(headers) if 300 <= status < 400 else words.message, secrets), MOST_WORDS)
    code = line(redacted(words.code, secrets), 60)
    message = (
        f"{service} answered {status} to {what}"
        + (" with an error" if status < 300 else "")
        + (f": {said}" if said else "")
        + (f" (code {code})" if code and code != str(deserved) and code not in said else "")
        + (f" [request {request_id}]" if request_id else "")
    )
    kind = _class(deserved, words)
    error = kind(
        message,
        (hint and hint(deserved, words)) or cure(deserved, words, what),
        status=deserved,
        request_id=request_id,
        retry_after=retry_after(headers, time.time() if now is None else now),
    )
    if isinstance(error, TooLarge):
        error.index, error.tokens, error.limit = sizes(words.message)
    return error


def is_error(value: Any) -> bool:
    """Whether a decoded body is an error in itself, whatever status it came with."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Gemini wraps its error in a list
    if not isinstance(value, Mapping) or value.get("choices") or value.get("data"):
        return False
    if value.get("error") or value.get("object") == "error":
        return True
    said = value.get("status", value.get("code"))
    # Zero and 200 are how some say that all is well.
    bad = isinstance(said, int) and said > 0 and not 200 <= said < 400
    return bad and "message" in value and len(value) <= 4


def sizes(message: str) -> tuple[int | None, int | None, int | None]:
    """Index of the text that is too long, its tokens, the most tokens: as far as the service names them."""
    for pattern in _SIZES:
        if found := pattern.search(message):
            parts = found.groupdict()
            return tuple(  # type: ignore[return-value]  # three names give three values
                int(parts[name]) if parts.get(name) else None for name in ("index", "tokens", "limit")
            )
    return None, None, None


def cure(status: int, words: Words, what: str = "") -> str:
    """What to do about it, by status and by `what` was asked; empty where only the service's own words can tell."""
    if 300 <= status < 400:
        return "redirects are not followed, as a key would go with them; set base_url to the address of the API itself"
    if status == 404:
        if "/files/" in what:
            return "`ragkit files list` shows the files that are there"
        if re.search(r"(?<![/\w])model|модел", words.all, re.IGNORECASE):
            return "`ragkit models` lists the models that this key may use"
        return "check GIGACHAT_BASE_URL, OPENAI_BASE_URL or base_url: an address usually ends in /v1"
    if status == 402 and "/embeddings" in what:
        return (
            "top up the account; until then `--mode lexical` searches without it, and RAGKIT_EMBED_PROVIDER=offline "
            "indexes into a new index without a service"
        )
    if status >= 500:
        return "the service has a fault of its own; run again later"
    return {
        400: "the service does not accept a part of the request; its words name which",
        401: "check the key; for GigaChat: a token lives for 30 minutes, and a key has its own scope (GIGACHAT_SCOPE)",
        402: "top up the account",
        408: "run again later",
        409: "run again later",
        425: "run again later",
        403: "this key has no right to that: another model or account, or a file of another client",
        413: "send shorter or fewer texts; for an answer, fewer passages: -n",
        422: "the service does not accept a part of the request; its words name which",
        429: "wait, or send fewer requests at once: individuals have one slot at GigaChat, legal entities ten",
    }.get(status, "")


def _class(status: int, words: Words) -> type[ApiError]:
    if status in (400, 403, 422) and _CONTENT.search(words.all):
        return ContentRejected
    # llama.cpp says 500 to a text that is longer than its batch
    if status in (400, 422, 500) and _LENGTH.search(words.all) and not _ANSWER_LENGTH.search(words.message):
        return TooLarge
    if status >= 500:
        return ServerError
    return _CLASSES.get(status, ApiError)


def _deserved(words: Words) -> int:
    """The status for an error that came as a success without saying a number: passing, unless its words say more."""
    for text in (f"{words.code} {words.kind}", words.message):
        for pattern, status in _KINDS:
            if pattern.search(text):
                return status
    return 500


def _target(headers: Mapping[str, str]) -> str:
    """The host that a redirect points at; its path and query may hold what is not for eyes."""
    found = re.match(r"(?:https?:)?//(?:[^/?#@]*@)?([^/?#]+)", headers.get("location", ""), re.IGNORECASE)
    return f"it sends us to {found[1]}" if found else "it sends us elsewhere on the same host"
