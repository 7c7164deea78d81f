"""The `openai` client judges the OpenAI-compatible routes, over real HTTP."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator

import numpy as np
import openai
import pytest
from openai import OpenAI

from ragkit.sandbox import Sandbox

TOOL = {
    "type": "function",
    "function": {
        "name": "search_documents",
        "description": "Search the documents for passages",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


@pytest.fixture
def ai(sandbox: Sandbox) -> Iterator[OpenAI]:
    with OpenAI(base_url=sandbox.openai_url, api_key=sandbox.api_key, max_retries=0) as made:
        yield made


def test_models(ai: OpenAI) -> None:
    """Models are listed and shown, one with a slash in its name too."""
    assert {"gpt-4o-mini", "text-embedding-3-small", "dall-e-3"} <= {model.id for model in ai.models.list()}
    assert ai.models.retrieve("yandexgpt/yandex-art").id == "yandexgpt/yandex-art"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        ai.models.retrieve("no-such-model")


def test_chat(ai: OpenAI) -> None:
    """The same brain answers, sources and all."""
    reply = ai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Answer from the sources.\n\n[1] Cats sleep all day.\n[2] Dogs eat meat."},
            {"role": "user", "content": "What do dogs eat?"},
        ],
    )
    assert reply.choices[0].message.content == "Dogs eat meat. [2]"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_stream(ai: OpenAI) -> None:
    """Pieces, the reason, and the usage where it is asked for."""
    pieces = list(
        ai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Tell me about cats"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "Tell me about cats" in "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert pieces[-1].usage is not None
    assert pieces[-2].choices[0].finish_reason == "stop"


def test_tools(ai: OpenAI) -> None:
    """A tool is called with arguments as a string; its result is told with the number it carries."""
    messages: list[object] = [{"role": "user", "content": "What do dogs eat?"}]
    first = ai.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL])  # type: ignore[arg-type]  # plain dicts
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"query": "What do dogs eat?"}
    result = json.dumps({"passages": [{"n": 3, "text": "Dogs eat meat."}, {"n": 4, "text": "Cats drink milk."}]})
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    second = ai.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL])  # type: ignore[arg-type]  # plain dicts
    assert second.choices[0].message.content == "Dogs eat meat. [3]"


def test_tools_in_a_stream(ai: OpenAI) -> None:
    """The arguments come in pieces that make JSON together."""
    pieces = list(
        ai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "What do dogs eat?"}],
            tools=[TOOL],  # type: ignore[list-item]  # a plain dict
            stream=True,
        )
    )
    calls = [call for piece in pieces for call in piece.choices[0].delta.tool_calls or []]
    assert calls[0].function.name == "search_documents"
    assert json.loads("".join(call.function.arguments or "" for call in calls)) == {"query": "What do dogs eat?"}


def test_pictures_are_seen(ai: OpenAI) -> None:
    """A part of content may be a picture; what is said about it is its format and size."""
    drawn = ai.images.generate(model="dall-e-2", prompt="a cat", size="256x256", response_format="b64_json")
    url = f"data:image/png;base64,{(drawn.data or [])[0].b64_json}"
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    reply = ai.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])  # type: ignore[misc, list-item]  # plain dicts
    assert "PNG 256x256" in (reply.choices[0].message.content or "")


def test_embeddings(ai: OpenAI) -> None:
    """Unit vectors, the same as numbers and as base64, and shorter where that is asked."""
    texts = ["a cat", "the cats", "wholly other words"]
    decoded = ai.embeddings.create(model="text-embedding-3-small", input=texts)  # the client asks for base64
    plain = ai.embeddings.create(model="text-embedding-3-small", input=texts, encoding_format="float")
    vectors = np.array([item.embedding for item in decoded.data])
    assert vectors.shape == (3, 1536)
    np.testing.assert_allclose(vectors, [item.embedding for item in plain.data], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert decoded.usage.prompt_tokens == decoded.usage.total_tokens > 0
    short = ai.embeddings.create(model="text-embedding-3-small", input="a cat", dimensions=256)
    assert len(short.data[0].embedding) == 256
    np.testing.assert_allclose(np.linalg.norm(short.data[0].embedding), 1, rtol=1e-5)


def test_embedding_refusals(ai: OpenAI) -> None:
    """Empty texts, unknown models and dimensions that a model does not take are refused."""
    with pytest.raises(openai.BadRequestError, match="must not be empty"):
        ai.embeddings.create(model="text-embedding-3-small", input=["a", ""])
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        ai.embeddings.create(model="gpt-4o", input="a")
    with pytest.raises(openai.BadRequestError, match="does not support specifying dimensions"):
        ai.embeddings.create(model="text-embedding-ada-002", input="a", dimensions=100)


@pytest.mark.parametrize(
    ("model", "size"), [("dall-e-2", "512x512"), ("dall-e-3", "1792x1024"), ("yandexgpt/yandex-art", "1024x1024")]
)
def test_images(ai: OpenAI, model: str, size: str) -> None:
    """A link leads to a PNG of the size that was asked for; dall-e-3 tells how it read the prompt."""
    (image,) = ai.images.generate(model=model, prompt="Кофейня в стиле ар-деко", size=size).data or []  # type: ignore[call-overload]  # a str
    assert (image.revised_prompt is not None) == (model == "dall-e-3")
    with urllib.request.urlopen(image.url) as reply:
        content = reply.read()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    assert f"{width}x{height}" == size


def test_images_as_base64(ai: OpenAI) -> None:
    """`n` pictures, each another one."""
    found = ai.images.generate(model="dall-e-2", prompt="a cat", n=2, size="256x256", response_format="b64_json").data
    pictures = {base64.b64decode(image.b64_json or "") for image in found or []}
    assert len(pictures) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_image_refusals(ai: OpenAI) -> None:
    """A size that the model does not have, and a prompt against the policy, as the service words them."""
    with pytest.raises(openai.BadRequestError, match="Invalid size for model dall-e-3"):
        ai.images.generate(model="dall-e-3", prompt="a cat", size="256x256")
    with pytest.raises(openai.BadRequestError, match="rejected as a result of our safety system") as caught:
        ai.images.generate(model="dall-e-3", prompt="нечто запрещённое")
    assert caught.value.code == "content_policy_violation"


def test_keys() -> None:
    """Where a key was set, another one is a 401."""
    with Sandbox(api_key="the-key") as strict:
        with (
            OpenAI(base_url=strict.openai_url, api_key="other", max_retries=0) as ai,
            pytest.raises(openai.AuthenticationError),
        ):
            ai.models.list()
        with OpenAI(base_url=f"{strict.url}/openai/v1", api_key="the-key", max_retries=0) as ai:
            assert ai.models.list().data


def test_errors_have_their_types(sandbox: Sandbox, ai: OpenAI) -> None:
    """Injected errors come in OpenAI's envelope here."""
    sandbox.inject("429-retry-after", seconds=3)
    with pytest.raises(openai.RateLimitError) as caught:
        ai.models.list()
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.body["type"] == "rate_limit_error"  # type: ignore[index]  # an object


def test_an_answer_can_be_json(ai: OpenAI) -> None:
    """`json_schema` and `json_object` are answered with JSON."""
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    reply = ai.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Return in 10 days"}],
        response_format={"type": "json_schema", "json_schema": {"name": "term", "schema": schema}},
    )
    assert json.loads(reply.choices[0].message.content or "") == {"days": 10}
