"""The official `gigachat` SDK judges the sandbox, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator

import gigachat.exceptions
import numpy as np
import pytest
from gigachat import GigaChat
from gigachat.context import client_id_cvar, session_id_cvar
from pydantic import BaseModel

from ragkit.sandbox import Sandbox

WEATHER = {
    "name": "weather_forecast",
    "description": "Возвращает температуру на заданный период",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "Местоположение, например, название города"},
            "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Единицы измерения"},
            "num_days": {"type": "integer", "description": "Период, для которого нужно вернуть прогноз"},
        },
        "required": ["location", "num_days"],
    },
}


def client(sandbox: Sandbox, **options: object) -> GigaChat:
    return GigaChat(
        **{
            "credentials": sandbox.credentials,
            "base_url": sandbox.gigachat_url,
            "auth_url": sandbox.auth_url,
            "verify_ssl_certs": False,
            "model": "GigaChat-2",
            **options,
        }
    )


@pytest.fixture
def giga(sandbox: Sandbox) -> Iterator[GigaChat]:
    with client(sandbox) as made:
        yield made


def asked(text: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_models_are_listed_and_shown(giga: GigaChat) -> None:
    """Both lists hold chat models and embedders; a model that there is not is a 404."""
    names = {model.id_ for model in giga.get_models().data}
    assert {"GigaChat-2", "GigaChat-2-Max", "Embeddings", "EmbeddingsGigaR"} <= names
    assert giga.get_model("Embeddings").id_ == "Embeddings"
    with pytest.raises(gigachat.exceptions.NotFoundError, match="No such model"):
        giga.get_model("GigaFish")


def test_a_chat_is_answered(giga: GigaChat) -> None:
    """The reply has a versioned model, usage, and the ids of request and session in its headers."""
    reply = giga.chat("Привет!")
    assert reply.choices[0].finish_reason == "stop"
    assert "Привет!" in reply.choices[0].message.content
    assert reply.model == "GigaChat-2:2.0.28.2"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.x_headers is not None
    assert reply.x_headers["x-request-id"]
    assert reply.x_headers["x-session-id"]


def test_numbered_sources_are_cited(giga: GigaChat) -> None:
    """The sentence that shares most words with the question is repeated, with the number of its source."""
    prompt = (
        "[1] Договор заключён на одиннадцать месяцев. Плата вносится до пятого числа.\n"
        "[2] Залог возвращается в течение десяти рабочих дней. Ключи отдаются сразу.\n\n"
        "Вопрос: В какой срок возвращается залог?"
    )
    assert giga.chat(prompt).choices[0].message.content == "Залог возвращается в течение десяти рабочих дней. [2]"


def test_a_function_is_called_and_its_result_told(giga: GigaChat) -> None:
    """The round trip of the documentation: arguments as an object, then an answer from the result."""
    request = asked("Погода в Москве на три дня", function_call="auto", functions=[WEATHER])
    choice = giga.chat(request).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.content == ""
    assert choice.message.functions_state_id
    call = choice.message.function_call
    assert call is not None
    assert (call.name, call.arguments) == ("weather_forecast", {"location": "Москва", "num_days": 3})
    told = {"role": "function", "name": call.name, "content": json.dumps({"temperature": "27"})}
    request["messages"] = [*request["messages"], choice.message.model_dump(exclude_none=True), told]  # type: ignore[misc]  # a list
    after = giga.chat(request).choices[0]
    assert after.finish_reason == "stop"
    assert "27" in after.message.content


def test_a_forced_function_keeps_the_given_arguments(giga: GigaChat) -> None:
    """`partial_arguments` stay, the others are made up."""
    forced = {"name": "weather_forecast", "partial_arguments": {"location": "Тверь"}}
    call = giga.chat(asked("Какая погода?", function_call=forced, functions=[WEATHER])).choices[0].message.function_call
    assert call is not None
    assert call.arguments == {"location": "Тверь", "num_days": 1}


def test_an_attached_text_is_read(giga: GigaChat) -> None:
    """The answer is a sentence of the file; of two files the second counts with automatic functions only."""
    first = giga.upload_file(("собаки.txt", "Собака ест мясо. Собака лает.".encode(), "text/plain"))
    second = giga.upload_file(("кошки.txt", "Кошка пьёт молоко.".encode(), "text/plain"))
    assert first.filename == "собаки.txt"
    ids = [first.id_, second.id_]

    def answer(text: str, **more: object) -> str:
        return (
            giga.chat({"messages": [{"role": "user", "content": text, "attachments": ids}], **more})
            .choices[0]
            .message.content
        )

    assert answer("Что ест собака?") == "Собака ест мясо."
    assert "не сказано" in answer("Что пьёт кошка?")
    assert answer("Что пьёт кошка?", function_call="auto") == "Кошка пьёт молоко."


def test_a_stream_has_phrases_and_an_end(giga: GigaChat) -> None:
    """The first piece has the role, the last one the reason and the usage; joined they are the answer."""
    pieces = list(giga.stream("Расскажи про кота"))
    assert pieces[0].choices[0].delta.role == "assistant"
    assert [piece.choices[0].finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert pieces[-1].usage is not None
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == giga.chat("Расскажи про кота").choices[0].message.content


def test_a_function_call_streams_in_one_piece(giga: GigaChat) -> None:
    """Name and arguments come together; the state comes with the last piece."""
    pieces = list(giga.stream(asked("Погода в Москве", function_call="auto", functions=[WEATHER])))
    calls = [piece.choices[0].delta.function_call for piece in pieces if piece.choices[0].delta.function_call]
    assert [call.name for call in calls] == ["weather_forecast"]
    assert pieces[-1].choices[0].finish_reason == "function_call"
    assert pieces[-1].choices[0].delta.functions_state_id


def test_embeddings_look_like_the_real_ones(giga: GigaChat) -> None:
    """1024 numbers exact in float16, length about 29, alike where words are, and usage for each."""
    reply = giga.embeddings(["First text", "Second text", "Совсем другое дело"])
    vectors = np.array([item.embedding for item in reply.data])
    assert vectors.shape == (3, 1024)
    assert (vectors == vectors.astype(np.float16)).all()
    lengths = np.linalg.norm(vectors, axis=1)
    assert (abs(lengths - 29.2) < 1.5).all()
    cosines = (vectors @ vectors.T) / np.outer(lengths, lengths)
    assert cosines[0, 1] > cosines[0, 2] + 0.02
    assert 0.85 < cosines[0, 2] < 0.95
    counts = [row.tokens for row in giga.tokens_count(["First text", "Second text"], model="Embeddings")]
    assert counts == [2, 2]
    assert [item.usage.prompt_tokens for item in reply.data[:2]] == [7, 7]


def test_every_embedder_has_its_dimension(giga: GigaChat) -> None:
    """Four models, three dimensions."""
    sizes = {
        model: len(giga.embeddings(["текст"], model=model).data[0].embedding)
        for model in ("Embeddings", "Embeddings-2", "EmbeddingsGigaR", "GigaEmbeddings-3B-2025-09")
    }
    assert list(sizes.values()) == [1024, 1024, 2560, 2048]


def test_a_text_that_is_too_long_is_named(giga: GigaChat) -> None:
    """413 tells the index, the count and the limit."""
    with pytest.raises(gigachat.exceptions.RequestEntityTooLargeError, match=r"index 1: \d+ \(max 514\)"):
        giga.embeddings(["коротко", "слово " * 600])


def test_tokens_and_balance(giga: GigaChat) -> None:
    """A bare array of counts; a balance by usage."""
    (counted,) = giga.tokens_count(["Привет, мир"], model="GigaChat-2")
    assert (counted.tokens, counted.characters) == (4, 11)
    assert {item.usage for item in giga.get_balance().balance} >= {"GigaChat", "embeddings"}


def test_files_come_and_go(giga: GigaChat) -> None:
    """Upload, list, show, delete; the SDK sends a needless body with the last."""
    file = giga.upload_file(("note.txt", b"A note.", "text/plain"))
    assert (file.bytes_, file.filename, file.purpose, file.access_policy) == (7, "note.txt", "general", "private")
    assert [listed.id_ for listed in giga.get_files().data] == [file.id_]
    assert giga.get_file(file.id_).filename == "note.txt"
    assert giga.delete_file(file.id_).deleted
    assert giga.get_files().data == []
    with pytest.raises(gigachat.exceptions.NotFoundError):
        giga.get_file(file.id_)


def drawn_id(giga: GigaChat) -> str:
    reply = giga.chat(asked("Нарисуй розового кота", function_call="auto"))
    found = re.search(r'<img src="([0-9a-f-]{36})" fuse="true"/>', reply.choices[0].message.content)
    assert found is not None
    assert reply.choices[0].message.data_for_context
    return found[1]


def test_a_drawn_picture_can_be_fetched(giga: GigaChat) -> None:
    """The reply names a picture, which is a JPEG."""
    image = giga.get_image(drawn_id(giga))
    assert base64.b64decode(image.content).startswith(b"\xff\xd8\xff\xe0")


def test_a_picture_belongs_to_its_client(giga: GigaChat) -> None:
    """What was drawn under an X-Client-ID is fetched under the same one only."""
    token = client_id_cvar.set("client-one")
    try:
        image = drawn_id(giga)
        assert giga.get_image(image).content
    finally:
        client_id_cvar.reset(token)
    with pytest.raises(gigachat.exceptions.ResponseError, match="403"):
        giga.get_image(image)


def test_drawing_in_a_stream_tells_its_progress(giga: GigaChat) -> None:
    """Pieces of the role function_in_progress come while the picture is made."""
    pieces = list(giga.stream(asked("Нарисуй розового кота", function_call="auto")))
    roles = [piece.choices[0].delta.role for piece in pieces]
    assert "function_in_progress" in roles
    assert any("<img src=" in (piece.choices[0].delta.content or "") for piece in pieces)


def test_an_openapi_document_becomes_functions(giga: GigaChat) -> None:
    """Each operation is a function with its parameters."""
    document = {
        "openapi": "3.0.0",
        "paths": {
            "/pets": {
                "get": {
                    "operationId": "listPets",
                    "summary": "List pets",
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                }
            }
        },
    }
    (function,) = giga.openapi_function_convert(json.dumps(document)).functions
    assert function.name == "listPets"
    assert function.parameters is not None
    assert list(function.parameters.properties or {}) == ["limit"]


def test_texts_can_be_checked(giga: GigaChat) -> None:
    """The check of who wrote a text is there, and always sees a person."""
    assert giga.check_ai("Я писал это сам.", model="GigaCheckClassification").category == "human"


def test_a_dead_token_is_replaced(sandbox: Sandbox, giga: GigaChat) -> None:
    """After a 401 the SDK asks OAuth once more and repeats the request."""
    giga.get_models()
    sandbox.inject("expired-token")
    assert giga.chat("Привет").choices
    assert sandbox.stats.oauth == 2
    assert sandbox.stats.faults == {"expired-token": 1}


def test_a_token_lives_as_long_as_it_says(giga: GigaChat) -> None:
    """`expires_at` is in milliseconds, half an hour ahead, so the SDK keeps the token."""
    token = giga.get_token()
    assert token is not None
    assert token.expires_at > 1_000_000_000_000


def test_user_and_password_work(sandbox: Sandbox) -> None:
    """POST /token answers with `tok` and `exp`."""
    with client(sandbox, credentials=None, user="анна", password="secret") as giga:
        assert giga.get_models().data
    assert sandbox.stats.routes["POST /token"] >= 1


def test_a_session_is_cached(giga: GigaChat) -> None:
    """With the same X-Session-ID the messages that were sent before are counted as cached."""
    token = session_id_cvar.set("session-one")
    try:
        system = {"role": "system", "content": "Отвечай кратко. " * 20}
        first = giga.chat({"messages": [system, {"role": "user", "content": "Раз"}]})
        second = giga.chat({"messages": [system, {"role": "user", "content": "Два"}]})
    finally:
        session_id_cvar.reset(token)
    assert first.usage.precached_prompt_tokens == 0
    assert 60 < (second.usage.precached_prompt_tokens or 0) < second.usage.prompt_tokens
    assert second.x_headers is not None
    assert second.x_headers["x-session-id"] == "session-one"


def test_the_second_version_of_chat(giga: GigaChat) -> None:
    """/api/v2 has parts of content, and its stream ends with a named event."""
    reply = giga.chat.create("Привет!")
    assert "Привет!" in (reply.messages[0].content or [])[0].text
    assert reply.usage is not None
    events = list(giga.chat.stream("Привет!"))
    assert events[-1].finish_reason == "stop"
    assert "".join(event.messages[0].content[0].text for event in events[:-1] if event.messages) == (
        reply.messages[0].content[0].text
    )


class City(BaseModel):
    """What the answer is parsed into."""

    name: str
    people: int


def test_an_answer_can_have_a_schema(giga: GigaChat) -> None:
    """`response_format` makes the text of the answer JSON of that schema."""
    _, city = giga.chat_parse("В городе «Тверь» живёт 400 человек", response_format=City)
    assert (city.name, city.people) == ("Тверь", 400)


def test_refusals_have_their_types(giga: GigaChat) -> None:
    """What the service refuses, the sandbox refuses with the same status."""
    with pytest.raises(gigachat.exceptions.UnprocessableEntityError, match="repetition_penalty must be in range"):
        giga.chat(asked("Привет", repetition_penalty=-1))
    with pytest.raises(gigachat.exceptions.NotFoundError, match="No such model"):
        giga.chat(asked("Привет", model="GigaFish"))
    late = {"messages": [{"role": "user", "content": "Привет"}, {"role": "system", "content": "Будь краток"}]}
    with pytest.raises(gigachat.exceptions.UnprocessableEntityError, match="system message must be the first message"):
        giga.chat(late)


def test_wrong_keys_are_refused() -> None:
    """Where a key was set, another one is code 6, and a scope that is not the key's is code 7."""
    with Sandbox(credentials=base64.b64encode(b"me:mine").decode(), scope="GIGACHAT_API_PERS") as strict:
        wrong = base64.b64encode(b"me:yours").decode()
        with (
            client(strict, credentials=wrong) as giga,
            pytest.raises(gigachat.exceptions.AuthenticationError, match=":6"),
        ):
            giga.get_models()
        with (
            client(strict, scope="GIGACHAT_API_CORP") as giga,
            pytest.raises(gigachat.exceptions.AuthenticationError, match=":7"),
        ):
            giga.get_models()
        with client(strict) as giga:
            assert giga.get_models().data


def test_the_other_prefix_works(sandbox: Sandbox) -> None:
    """api.giga.chat serves /v1, where our own tokens speak GigaChat."""
    with client(sandbox, base_url=f"{sandbox.url}/v1") as giga:
        assert giga.chat("Привет").model.startswith("GigaChat-2:")
        assert giga.chat.create("Привет").messages


def test_async_calls(sandbox: Sandbox) -> None:
    """Twenty requests at once, a stream, and vectors, all asynchronous: one token for them all."""

    async def run() -> tuple[int, str, int]:
        async with client(sandbox) as giga:
            replies = await asyncio.gather(*(giga.achat(f"Раз {number}") for number in range(20)))
            pieces = [piece async for piece in giga.astream("Расскажи про кота")]
            vectors = await giga.aembeddings(["раз", "два"])
            return len(replies), pieces[-1].choices[0].finish_reason or "", len(vectors.data)

    assert asyncio.run(run()) == (20, "stop", 2)
    assert sandbox.stats.oauth == 1
