"""Parts of content as OpenAI writes them: text, and pictures as links or data."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ragkit.sandbox.filestore import IMAGE, File
from ragkit.sandbox.wire import Refusal

KINDS = ("text", "image_url")


def text_and_files(content: Any, at: int) -> tuple[str, list[File]]:
    """The text of a message's content, and the pictures in it.

    Raises:
        Refusal: 400.
    """
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise Refusal(400, "Invalid type for content: expected a string or an array.", param=f"messages[{at}].content")
    texts, files = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(str(part.get("text", "")))
        elif kind == "image_url":
            link = part.get("image_url") or {}
            files.append(_picture(str(link.get("url", "")) if isinstance(link, dict) else str(link), at))
        else:
            text = f"Invalid value: {kind!r}. Supported values are: {KINDS}."
            raise Refusal(400, text, param=f"messages[{at}].content")
    return "\n".join(texts), files


def _picture(url: str, at: int) -> File:
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        try:
            content = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise Refusal(400, "Invalid base64 image_url.", param=f"messages[{at}].content") from error
        return File("", "image", head[len("data:") :].partition(";")[0], IMAGE, content, "general", "", 0)
    if not url.startswith(("http://", "https://")):
        raise Refusal(400, "Invalid image_url: expected a link or data.", param=f"messages[{at}].content")
    return File("", url, "", IMAGE, b"", "general", "", 0)  # links are not followed
