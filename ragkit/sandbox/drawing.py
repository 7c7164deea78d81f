"""The built-in text2image: a picture in the store, and the message that shows it."""

from __future__ import annotations

from typing import Any

from ragkit.sandbox.call import Call
from ragkit.sandbox.filestore import IMAGE, File
from ragkit.sandbox.pictures import jpeg
from ragkit.sandbox.wire import to_json

OPENING = "Запускаю генерацию изображения. Ожидайте результат"
ENDING = " - вот что у меня получилось."


def store_picture(call: Call, prompt: str) -> File:
    """A JPEG for the prompt, which only the same client, under the same X-Client-ID, may fetch."""
    assert call.account is not None  # noqa: S101 - the server has just checked the token
    id = call.state.new_id()
    return call.state.files.add(
        id,
        f"{id}.jpg",
        jpeg(prompt),
        media_type="image/jpeg",
        kind=IMAGE,
        owner=call.account.client,
        made_under=call.request.headers.get("x-client-id"),
        drawn=True,
    )


def draw(call: Call, prompt: str) -> dict[str, Any]:
    """The message of a reply that shows a drawn picture."""
    image = store_picture(call, prompt).id
    called = {"name": "text2image", "arguments": {"query": prompt}}
    return {
        "content": f'{OPENING} <img src="{image}" fuse="true"/>{ENDING}',
        "role": "assistant",
        "data_for_context": [
            {"content": OPENING, "role": "assistant", "function_call": called},
            {"content": to_json({"status": "success"}).decode(), "role": "function", "name": "text2image"},
            {"content": ENDING, "role": "assistant"},
        ],
    }
