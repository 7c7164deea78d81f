"""The sandbox's own routes under /sandbox: faults, counters, a fresh start."""

from __future__ import annotations

from ragkit.sandbox.call import Call
from ragkit.sandbox.faults import FAULTS
from ragkit.sandbox.wire import Refusal, Reply, dict_of, json_reply

_KNOWN = ("fault", "times", "path", "options")


def list_faults(_: Call) -> Reply:
    """GET /sandbox/faults: the table."""
    return json_reply({name: {"meaning": fault.meaning, "options": fault.options} for name, fault in FAULTS.items()})


def inject(call: Call) -> Reply:
    """POST /sandbox/faults: {"fault", "times", "path"} and the fault's options; times null: until it is cleared."""
    body = call.request.json()
    options = {
        **dict_of(body.get("options"), "options"),
        **{key: value for key, value in body.items() if key not in _KNOWN},
    }
    name, times, path = body.get("fault"), body.get("times", 1), body.get("path")
    if not isinstance(name, str) or not isinstance(times, int | None) or not isinstance(path, str | None):
        raise Refusal(422, "fault must be a name, times a number or null, path a part of a path")
    try:
        call.state.faults.add(name, times, path, options)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    return json_reply({"fault": name, "times": times, "path": path, "options": options})


def clear(call: Call) -> Reply:
    """DELETE /sandbox/faults."""
    call.state.faults.clear()
    return json_reply({"cleared": True})


def stats(call: Call) -> Reply:
    """GET /sandbox/stats."""
    return json_reply(call.state.stats.snapshot().as_dict())


def reset(call: Call) -> Reply:
    """POST /sandbox/reset: forget faults, counters, tokens, files and sessions."""
    call.state.reset()
    return json_reply({"reset": True})
