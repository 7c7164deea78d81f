"""The other OpenAI-compatible routes: models, and images with the models, sizes and errors of the image services."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

from ragkit.sandbox import models
from ragkit.sandbox.call import Call
from ragkit.sandbox.pictures import png
from ragkit.sandbox.wire import Refusal, Reply, json_reply

MOST_IMAGES = 10
MOST_PROMPT = 4000  # characters
_FORBIDDEN = re.compile(r"запрещен|запрещён|forbidden", re.IGNORECASE)
IMAGE_PATH = "/sandbox/images/"


def list_models(_: Call) -> Reply:
    return json_reply({"object": "list", "data": models.openai_listed()})


def show_model(call: Call) -> Reply:
    """GET /models/{id}."""
    found = next((model for model in models.openai_listed() if model["id"] == call.argument), None)
    if found is None:
        raise Refusal(404, f"The model '{call.argument}' does not exist", code="model_not_found")
    return json_reply(found)


def generate(call: Call) -> Reply:
    """POST /images/generations: links into this server, or base64."""
    body = call.request.json()
    model = "dall-e-2" if body.get("model") is None else body["model"]
    model = models.IMAGE_ALIASES.get(model, model) if isinstance(model, str) else ""
    if model not in models.IMAGE_SIZES:
        raise Refusal(404, f"The model `{body.get('model')}` does not exist", code="model_not_found")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Refusal(400, "Missing required parameter: 'prompt'", param="prompt")
    if len(prompt) > MOST_PROMPT:
        raise Refusal(400, f"The prompt is {len(prompt)} characters long, the limit is {MOST_PROMPT}", param="prompt")
    if _FORBIDDEN.search(prompt):
        message = "Your request was rejected as a result of our safety system"
        raise Refusal(400, message, code="content_policy_violation")
    size = _size(body, model)
    count = _count(body)
    _check_style(body, model)
    how = body.get("response_format") or "url"
    if how not in ("url", "b64_json"):
        raise Refusal(400, f"Invalid response_format: {how!r}, expected url or b64_json", param="response_format")
    return json_reply(
        {
            "created": int(time.time()),
            "data": [_image(call, prompt, size, how, model, number) for number in range(count)],
        }
    )


def picture(call: Call) -> Reply:
    """GET of a link that `generate` made; it needs no key, as with the real services."""
    file = call.state.files.get(call.argument.removesuffix(".png"), "")
    return Reply(body=file.content, content_type="image/png")


def _size(body: dict[str, Any], model: str) -> tuple[int, int]:
    size = body.get("size") or "1024x1024"
    if size not in models.IMAGE_SIZES[model]:
        raise Refusal(400, f"Invalid size for model {model}", param="size")
    width, height = size.split("x")
    return int(width), int(height)


def _count(body: dict[str, Any]) -> int:
    count = body.get("n")
    count = 1 if count is None else count
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_IMAGES:
        raise Refusal(400, f"Invalid n: {count!r}, expected an integer from 1 to {MOST_IMAGES}", param="n")
    return count


def _check_style(body: dict[str, Any], model: str) -> None:
    for key, values in (("quality", ("standard", "hd")), ("style", ("vivid", "natural"))):
        value = body.get(key)
        if value is None:
            continue
        if value not in values:
            raise Refusal(400, f"Invalid {key}: {value!r}, expected one of {', '.join(values)}", param=key)
        if model != "dall-e-3" and value != "standard":
            raise Refusal(400, f"The model {model} does not take {key}", param=key)


def _image(call: Call, prompt: str, size: tuple[int, int], how: str, model: str, number: int) -> dict[str, str]:
    content = png(f"{prompt} {number}", *size)
    revised = {"revised_prompt": f"A detailed picture: {prompt}"} if model == "dall-e-3" else {}
    if how == "b64_json":
        return {"b64_json": base64.b64encode(content).decode(), **revised}
    id = call.state.new_id()
    call.state.files.add(id, f"{id}.png", content, media_type="image/png", kind="image", owner="", drawn=True)
    host = call.request.headers.get("host", "")
    return {"url": f"http://{host}{IMAGE_PATH}{id}.png", **revised}
