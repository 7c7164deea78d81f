"""How a fault bends a reply: the status it is answered with, or the body that is not what it should be.

Faults that touch the connection or a stream are made where bytes are sent; those inside a reply by its endpoint.
"""

from __future__ import annotations

import time
from email.utils import formatdate

from ragkit.sandbox.accounts import bearer
from ragkit.sandbox.call import Call
from ragkit.sandbox.wire import HTML, OAUTH, Refusal, Reply, error_body, to_json

PAGE = (
    "<!DOCTYPE html><html><head><title>{title}</title></head>"
    "<body><h1>{title}</h1><p>nginx</p><p>{padding}</p></body></html>"
)
PADDING = "gateway " * 200  # real pages of gateways are long, and nobody wants them in an error message

_ERRORS = {
    "401": (401, "Unauthorized"),
    "402": (402, "Payment Required"),
    "403": (403, "Permission denied"),
    "404": (404, "No such model"),
    "413": (413, "Payload too large"),
    "422": (422, "Invalid params: repetition_penalty must be in range (0, +inf)"),
    "429": (429, "Too many requests"),
    "500": (500, "Internal Server Error"),
    "503": (503, "Service Unavailable"),
}
_PAGES = {"500-html": (500, "500 Internal Server Error"), "502": (502, "502 Bad Gateway"), "html-200": (200, "Sign in")}


def before(call: Call) -> Reply | None:
    """The reply that a fault gives in the endpoint's place, or None.

    Raises:
        Refusal: for a fault that is an error.
    """
    fault = call.fault
    if fault is None:
        return None
    if fault.name in _ERRORS:
        raise _refusal(call, *_ERRORS[fault.name])
    if fault.name in _PAGES:
        status, title = _PAGES[fault.name]
        return Reply(status, PAGE.format(title=title, padding=PADDING).encode(), HTML)
    if fault.name == "expired-token":
        token = bearer(call.request)
        call.state.accounts.revoke(token or "")
        raise _refusal(call, 401, "Token has expired")
    if fault.name == "429-retry-after":
        raise _refusal(call, 429, "Too many requests", {"Retry-After": f"{fault['seconds']:g}"})
    if fault.name == "429-retry-date":
        date = formatdate(time.time() + fault["seconds"], usegmt=True)
        raise _refusal(call, 429, "Too many requests", {"Retry-After": date})
    if fault.name == "error-200":
        return Reply(200, to_json(error_body(call.dialect, Refusal(500, "Internal Server Error"))))
    if fault.name == "huge":
        return Reply(200, b'{"data":"' + b"x" * int(fault["bytes"]) + b'"}')
    return None


def after(call: Call, reply: Reply) -> Reply:
    """The endpoint's reply, broken off where that is the fault."""
    if call.has_fault("bad-json") and reply.events is None:
        reply.body = reply.body[: len(reply.body) // 2]
    return reply


def _refusal(call: Call, status: int, message: str, headers: dict[str, str] | None = None) -> Refusal:
    return Refusal(status, message, code=status if call.dialect == OAUTH else None, headers=headers)
