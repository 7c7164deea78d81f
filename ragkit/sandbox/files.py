"""The routes of /files: upload, list, show, fetch, delete."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ragkit.sandbox.call import Call
from ragkit.sandbox.filestore import LIMITS, File, kind_of
from ragkit.sandbox.wire import Refusal, Reply, json_reply

PURPOSES = ("general", "assistant")
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')


def upload(call: Call) -> Reply:
    """POST /files: a multipart form with `file` and `purpose`, in any order."""
    fields = _form(call)
    if "purpose" not in fields:
        raise Refusal(400, "Bad request: field purpose is required")
    purpose = fields["purpose"][1].decode("utf-8", "replace")
    if purpose not in PURPOSES:
        raise Refusal(400, f"Bad request: purpose must be one of {', '.join(PURPOSES)}, not {purpose!r}")
    if "file" not in fields or not fields["file"][0]:
        raise Refusal(400, "Bad request: field file with a file name is required")
    name, content, media_type = fields["file"]
    kind, exact = kind_of(name, media_type)
    if not content:
        raise Refusal(400, "Bad request: the file is empty")
    if len(content) > LIMITS[kind]:
        raise Refusal(413, f"Payload too large: {len(content)} bytes of {kind}, the limit is {LIMITS[kind]}")
    owner = _client(call)
    file = call.state.files.add(
        call.state.new_id(), name, content, media_type=exact, kind=kind, owner=owner, purpose=purpose
    )
    return json_reply(_described(file))


def listing(call: Call) -> Reply:
    """GET /files."""
    return json_reply({"data": [_described(file) for file in call.state.files.of(_client(call))]})


def show(call: Call) -> Reply:
    """GET /files/{id}."""
    return json_reply(_described(_own(call)))


def content(call: Call) -> Reply:
    """GET /files/{id}/content."""
    file = _own(call)
    if file.made_under is not None and call.request.headers.get("x-client-id") != file.made_under:
        raise Refusal(403, "Permission denied")
    return Reply(body=file.content, content_type="image/jpg" if file.secret else file.media_type)


def delete(call: Call) -> Reply:
    """POST /files/{id}/delete; a body is ignored."""
    file = _own(call)
    call.state.files.remove(file.id)
    return json_reply({"id": file.id, "deleted": True})


def _client(call: Call) -> str:
    assert call.account is not None  # noqa: S101 - the server has just checked the token
    return call.account.client


def _own(call: Call) -> File:
    return call.state.files.get(call.argument, _client(call))


def _described(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.content),
        "created_at": file.created_at,
        "filename": file.name,
        "purpose": file.purpose,
        "access_policy": "private",
    }


def _form(call: Call) -> dict[str, tuple[str, bytes, str]]:
    """The fields of a multipart form: name -> (file name, content, media type).

    Raises:
        Refusal: 400.
    """
    media_type = call.request.headers.get("content-type", "")
    boundary = _parameters(media_type).get("boundary")
    if not media_type.lower().startswith("multipart/form-data") or not boundary:
        raise Refusal(400, "Bad request: the body must be multipart/form-data with a boundary")
    body = b"\r\n" + call.request.body
    parts = body.split(b"\r\n--" + boundary.encode())
    if len(parts) < 2 or not parts[-1].startswith(b"--"):  # what is before and after the first border
        raise Refusal(400, "Bad request: the multipart body is not complete")
    fields = {}
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            raise Refusal(400, "Bad request: a part of the multipart body has no headers")
        headers = _headers(head.decode("utf-8", "replace"))
        given = _parameters(headers.get("content-disposition", ""))
        fields[given.get("name", "")] = (_file_name(given), content, headers.get("content-type", ""))
    return fields


def _headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n") if line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _parameters(value: str) -> dict[str, str]:
    found = _PARAMETER.findall(value)
    return {name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain.strip() for name, quoted, plain in found}


def _file_name(parameters: dict[str, str]) -> str:
    """A file's name: `filename*` of RFC 5987 goes before `filename`, which browsers escape with %22."""
    extended = parameters.get("filename*", "")
    if extended.lower().startswith("utf-8''"):
        return unquote(extended[len("utf-8''") :])
    return parameters.get("filename", "").replace("%22", '"')
