"""GigaChat, against the sandbox over real HTTP: every call that its documentation describes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from canary import KEY, SECRET

from ragkit.budget import Prices
from ragkit.errors import (
    AuthenticationError,
    BadResponse,
    ConfigError,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
    ServerError,
    StreamInterrupted,
)
from ragkit.messages import ChatOptions, Delta, Forced, Function, ImageOptions, Message
from ragkit.metering import metered
from ragkit.protocols import BatchEmbedder, FileStore, ImageModel
from ragkit.providers.gigachat import GigaChat
from ragkit.sandbox import Sandbox

HELLO = [Message("user", "Привет! Как дела?")]
WEATHER = Function(
    "weather_forecast",
    "Возвращает температуру на заданный период",
    {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "Местоположение, например, название города"},
            "format": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "num_days": {"type": "integer"},
        },
        "required": ["location", "num_days"],
    },
)


@pytest.fixture
def giga(sandbox: Sandbox) -> Iterator[GigaChat]:
    made = connect(sandbox)
    yield made
    made.close()


def connect(sandbox: Sandbox, **arguments: object) -> GigaChat:
    known = {"credentials": KEY, "base_url": sandbox.gigachat_url, "auth_url": sandbox.auth_url}
    return GigaChat(**{**known, **arguments})  # type: ignore[arg-type]  # a table of arguments


def test_it_fills_its_seams(giga: GigaChat) -> None:
    """The capabilities that others ask for by protocol are there."""
    assert isinstance(giga, FileStore)
    assert isinstance(giga, ImageModel)
    assert isinstance(giga.embedder(), BatchEmbedder)


def test_one_token_serves_many_calls_and_threads(sandbox: Sandbox, giga: GigaChat) -> None:
    """64 threads with a cold token make one OAuth call."""
    threads = [threading.Thread(target=giga.models) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.stats.oauth == 1


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1", "/api/v1/"])
def test_base_url_is_a_setting(sandbox: Sandbox, prefix: str) -> None:
    """Both paths that GigaChat is served under work, with and without a slash at the end."""
    assert connect(sandbox, base_url=sandbox.url + prefix).models()


def test_a_ready_token_and_a_user_with_password_work(sandbox: Sandbox) -> None:
    """Besides the key: a token that was got elsewhere, and user and password."""
    user = connect(sandbox, credentials="", user="ivan", password="secret")
    assert user.models()
    with pytest.raises(AuthenticationError) as caught:
        connect(sandbox, credentials="", access_token="dead-token").models()
    assert "dead-token" not in str(caught.value) + caught.value.hint
    assert connect(sandbox, access_token="dead-token").models()  # the key takes over
    with pytest.raises(ConfigError, match="no key"):
        connect(sandbox, credentials="").models()


def test_models_have_their_kind(giga: GigaChat) -> None:
    """The list tells what chats from what embeds; one can be asked for by name."""
    kinds = {model.id: model.type for model in giga.models()}
    assert kinds["Embeddings"] == "embedder"
    assert kinds["GigaChat-2"] == "chat"
    assert giga.model("GigaChat-2").id == "GigaChat-2"
    with pytest.raises(NotFound, match="No such model"):
        giga.model("no/such")


def test_a_completion_has_text_usage_and_reason(giga: GigaChat) -> None:
    """What is shown to the user and what is billed; usage also goes to the caller's meter."""
    with metered() as meter:
        answer = giga.complete(HELLO)
    assert answer.text
    assert answer.finish_reason == "stop"
    assert answer.model.startswith("GigaChat-2")
    assert answer.request_id
    assert answer.usage.prompt_tokens > 0
    assert meter.usage == answer.usage


def test_prices_make_money_of_tokens(sandbox: Sandbox) -> None:
    """Where prices are configured, usage carries what it cost."""
    usage = connect(sandbox, prices=Prices(prompt=1_000_000, completion=2_000_000)).complete(HELLO).usage
    assert usage.cost == usage.prompt_tokens + 2 * usage.completion_tokens


def test_every_field_of_a_request_is_sent(sandbox: Sandbox, giga: GigaChat) -> None:
    """The options are the fields of the documentation, by the same names."""
    options = ChatOptions(
        model="GigaChat-Pro-preview",
        temperature=0.7,
        top_p=0.5,
        max_tokens=50,
        n=1,
        repetition_penalty=1.1,
        profanity_check=True,
        extra={"flags": ["a"]},
    )
    giga.complete([Message("system", "Ты поэт"), *HELLO], options=options)
    body = sandbox.stats.requests[-1].body
    assert body == {
        "model": "GigaChat-Pro-preview",
        "messages": [{"role": "system", "content": "Ты поэт"}, {"role": "user", "content": HELLO[0].content}],
        "temperature": 0.7,
        "top_p": 0.5,
        "max_tokens": 50,
        "n": 1,
        "repetition_penalty": 1.1,
        "profanity_check": True,
        "flags": ["a"],
    }


def test_a_session_is_cached(giga: GigaChat) -> None:
    """X-Session-ID brings the beginning of a conversation from the cache, and usage shows it."""
    options = ChatOptions(session_id="dfa87a40")
    first = giga.complete(HELLO, options=options)
    again = giga.complete([*HELLO, first.message, Message("user", "А завтра?")], options=options)
    assert (first.usage.precached_prompt_tokens, again.usage.precached_prompt_tokens > 0) == (0, True)


@pytest.mark.parametrize(
    ("fault", "reason"), [("length", "length"), ("blacklist", "blacklist"), ("finish-error", "error")]
)
def test_finish_reasons_come_through(sandbox: Sandbox, giga: GigaChat, fault: str, reason: str) -> None:
    """Why the model stopped is part of the answer."""
    sandbox.inject(fault)
    assert giga.complete(HELLO).finish_reason == reason


def pieces(deltas: Iterator[Delta]) -> tuple[str, list[str], Delta]:
    text, progress, last = "", [], Delta()
    for delta in deltas:
        text += delta.text
        progress += [delta.progress] if delta.progress else []
        last = delta
    return text, progress, last


def test_a_stream_says_what_the_whole_answer_says(giga: GigaChat) -> None:
    """Pieces joined are the completion at the end, with the usage of the last chunk."""
    with metered() as meter:
        text, _, last = pieces(giga.stream(HELLO, options=ChatOptions(update_interval=0.01)))
    assert last.completion
    assert text == last.completion.text == giga.complete(HELLO).text
    assert meter.usage == last.completion.usage
    assert last.completion.usage.total_tokens > 0


@pytest.mark.parametrize("fault", ["cut-stream", "drop-stream", "stream-error"])
def test_a_stream_that_is_cut_says_so_and_is_not_repeated(sandbox: Sandbox, giga: GigaChat, fault: str) -> None:
    """What had come is in `partial`, and the request was made once."""
    sandbox.inject(fault, path="/chat/completions")
    with pytest.raises((StreamInterrupted, ServerError)) as caught:
        pieces(giga.stream([Message("user", "Расскажи длинную историю о котах и собаках на даче")]))
    assert sum("chat" in request.path for request in sandbox.stats.requests) == 1
    if fault != "stream-error":
        assert isinstance(caught.value, StreamInterrupted)
        assert caught.value.partial


def test_a_stream_is_tried_again_before_its_first_piece(sandbox: Sandbox, giga: GigaChat) -> None:
    """A refusal before anything came is no loss: the stream starts anew, and nothing is said twice."""
    sandbox.inject("500", path="/chat/completions")
    text, _, last = pieces(giga.stream(HELLO))
    assert last.completion
    assert text == last.completion.text


def test_a_built_in_function_at_work_is_progress_not_text(giga: GigaChat) -> None:
    """While a picture is drawn, the stream tells how long it will take; that is no part of the answer."""
    text, progress, last = pieces(giga.stream([Message("user", "Нарисуй розового кота")], function_call="auto"))
    assert progress
    assert not any(each in text for each in progress)
    assert last.completion
    assert last.completion.message.functions_state_id


def test_a_function_is_called_and_its_result_answered(sandbox: Sandbox, giga: GigaChat) -> None:
    """The round trip: a call, its result, an answer; functions_state_id goes back with the call."""
    asked = [Message("user", "Погода в Москве на 3 дня")]
    call = giga.complete(asked, functions=[WEATHER], function_call="auto")
    assert call.finish_reason == "function_call"
    assert call.message.function_call
    assert call.message.function_call.name == "weather_forecast"
    assert call.message.function_call.arguments["num_days"] == 3
    result = Message("function", '{"temperature": "27 градусов в Москве"}', name="weather_forecast")
    answer = giga.complete([*asked, call.message, result], functions=[WEATHER], function_call="auto")
    assert "27" in answer.text
    sent = sandbox.stats.requests[-1].body["messages"][1]
    assert sent["functions_state_id"] == call.message.functions_state_id


def test_a_forced_function_keeps_what_is_settled(giga: GigaChat) -> None:
    """partial_arguments are in the arguments of the call; "none" calls nothing."""
    choice = Forced("weather_forecast", {"location": "Тверь"})
    call = giga.complete([Message("user", "Погода на 3 дня")], functions=[WEATHER], function_call=choice)
    assert call.message.function_call
    assert call.message.function_call.arguments["location"] == "Тверь"
    plain = giga.complete([Message("user", "Погода на 3 дня")], functions=[WEATHER], function_call="none")
    assert plain.message.function_call is None


def test_a_streamed_call_is_whole(giga: GigaChat) -> None:
    """Name and arguments come in one piece, the state with the last."""
    asked = [Message("user", "Погода в Москве на 3 дня")]
    _, _, last = pieces(giga.stream(asked, functions=[WEATHER], function_call="auto"))
    assert last.completion
    assert last.completion.message.function_call
    assert last.completion.message.functions_state_id


def test_embeddings_are_batched_counted_and_paid(sandbox: Sandbox, giga: GigaChat) -> None:
    """50 texts go in batches of 16; the bill is the service's, and what was predicted beforehand."""
    texts = [f"Документ номер {n} о возврате залога" for n in range(50)]
    embedder = giga.embedder()
    predicted, counted = embedder.count_tokens(texts)
    with metered() as meter:
        rows = embedder.embed_documents(texts)
    assert rows.shape == (50, 1024)
    assert counted
    assert sum(predicted) == meter.usage.embedding_tokens == sandbox.stats.tokens["embedding"]
    assert sorted(len(r.body["input"]) for r in sandbox.stats.requests if r.path.endswith("/embeddings")) == [
        2,
        16,
        16,
        16,
    ]
    near = rows @ embedder.embed_query(texts[7])
    assert int(np.argmax(near / np.linalg.norm(rows, axis=1))) == 7


def test_a_long_text_is_cut_where_the_service_says(sandbox: Sandbox, giga: GigaChat) -> None:
    """413 names the text: it is embedded in pieces, the others of its batch as they are."""
    texts = ["коротко", "длинный текст о разном " * 200, "тоже коротко"]
    rows = giga.embedder().embed_documents(texts)
    assert rows.shape == (3, 1024)
    assert np.allclose(rows[0], giga.embedder().embed_documents(texts[:1])[0])
    sandbox.inject("413", path="/embeddings")
    assert np.allclose(giga.embedder().embed_documents(texts), rows)


@pytest.mark.parametrize("fault", ["missing-item", "extra-item", "nan", "zero-vector", "wrong-dimension"])
def test_a_wrong_reply_is_never_taken_for_vectors(sandbox: Sandbox, fault: str) -> None:
    """A reply that stays wrong is an error that says what is wrong; once, the second try is right."""
    embedder = connect(sandbox, retries=1).embedder()
    right = embedder.embed_documents(["один", "два", "три"])
    sandbox.inject(fault, times=1, path="/embeddings")
    assert np.allclose(embedder.embed_documents(["один", "два", "три"]), right)
    sandbox.inject(fault, times=None, path="/embeddings")
    with pytest.raises(BadResponse):
        embedder.embed_documents(["один", "два", "три"])


@pytest.mark.parametrize(
    "fault", ["shuffled", "no-index", "duplicate-index", "base64", "no-usage", "expired-token", "500-html", "drop"]
)
def test_a_reply_that_only_looks_odd_is_read_right(sandbox: Sandbox, giga: GigaChat, fault: str) -> None:
    """Another order, no indices, base64, no usage, and failures that pass: the vectors are the same."""
    embedder = giga.embedder()
    right = embedder.embed_documents(["один", "два", "три"])
    sandbox.inject(fault, path="/embeddings")
    assert np.allclose(embedder.embed_documents(["один", "два", "три"]), right)


def test_tokens_are_counted_and_the_balance_told(sandbox: Sandbox, giga: GigaChat) -> None:
    """Counting costs nothing; an account that pays as it goes has no balance."""
    counts, counted = giga.count_tokens(["Сколько здесь токенов?", "a"])
    assert counted
    assert [count.characters for count in counts] == [22, 1]
    assert {balance.usage for balance in giga.balance()} >= {"embeddings"}
    sandbox.inject("403", path="/balance")
    with pytest.raises(PermissionDenied):
        giga.balance()


def test_files_go_up_and_come_back(giga: GigaChat, tmp_path: Path) -> None:
    """Upload with a Russian name, list, get, content, delete."""
    path = tmp_path / "Отчёт за май.txt"
    path.write_text("Прибыль выросла", "utf-8")
    file = giga.upload(path)
    assert (file.name, file.size, file.purpose) == (path.name, path.stat().st_size, "general")
    assert giga.file(file.id) == file
    assert [each.id for each in giga.files()] == [file.id]
    assert giga.content(file.id) == path.read_bytes()
    assert giga.delete(file.id)
    with pytest.raises(NotFound):
        giga.file(file.id)


def test_an_upload_is_checked_before_it_is_sent(sandbox: Sandbox, giga: GigaChat, tmp_path: Path) -> None:
    """Kind and size are known beforehand: nothing travels in vain."""
    program = tmp_path / "program.exe"
    program.write_bytes(b"MZ")
    big = tmp_path / "big.png"
    with big.open("wb") as file:
        file.truncate(16 << 20)
    for path, said in ((program, "exe"), (big, "most for image"), (tmp_path / "none.txt", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            giga.upload(path)
    assert not sandbox.stats.requests


def test_a_picture_is_drawn_found_and_fetched(sandbox: Sandbox) -> None:
    """text2image: the id is in the answer, and only the same client may fetch the picture."""
    giga = connect(sandbox, client_id="reader-7")
    [image] = giga.generate("розовый кот", ImageOptions(system="Ты — Василий Кандинский"))
    assert image.media_type == "image/jpeg"
    assert image.data.startswith(b"\xff\xd8")
    assert "<img" not in image.text
    sandbox.inject("404", path="/content")
    drawing = giga.generate("кот", ImageOptions(n=2))
    with pytest.raises(NotFound) as caught:
        next(drawing)
    assert "ragkit files get" in caught.value.hint
    sandbox.inject("blacklist", path="/chat/completions")
    with pytest.raises(BadResponse, match="drew no picture"):
        list(giga.generate("кот"))
    with pytest.raises(ConfigError, match="size"):
        list(giga.generate("кот", ImageOptions(size="1024x1024")))


@pytest.mark.parametrize(
    ("fault", "error"),
    [("402", PaymentRequired), ("403", PermissionDenied), ("404", NotFound), ("422", ConfigError)],
)
def test_refusals_have_their_names(sandbox: Sandbox, giga: GigaChat, fault: str, error: type[Exception]) -> None:
    """A refusal is typed, says the status and what to do, and is not asked again."""
    from ragkit.errors import InvalidRequest

    sandbox.inject(fault, times=None, path="/chat/completions")
    with pytest.raises(InvalidRequest if fault == "422" else error) as caught:
        giga.complete(HELLO)
    assert fault in str(caught.value)
    assert caught.value.hint  # type: ignore[attr-defined]  # all of ours have one
    assert sum("chat" in request.path for request in sandbox.stats.requests) == 1


def test_failures_that_last_end_in_their_error(sandbox: Sandbox) -> None:
    """After the tries that were allowed, 429 is RateLimited and 500 ServerError."""
    giga = connect(sandbox, retries=1)
    for fault, error in (("429", RateLimited), ("500", ServerError)):
        sandbox.inject(fault, times=None, path="/chat/completions")
        with pytest.raises(error):
            giga.complete(HELLO)
        sandbox.clear()


def test_one_slot_is_never_exceeded() -> None:
    """A personal account has one stream: threads wait for one another, for whole streams too."""
    with Sandbox(slots=1, latency=0.01) as narrow:
        giga = connect(narrow)

        def work() -> None:
            pieces(giga.stream(HELLO))
            giga.embedder().embed_documents(["один", "два"] * 20)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert narrow.stats.max_in_flight == 1
        assert narrow.stats.rejected == 0


def test_the_key_is_shown_nowhere(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Neither errors nor logs nor reprs hold the key or a token."""
    caplog.set_level(logging.DEBUG)
    giga = connect(sandbox)
    said = [repr(giga), giga.account]
    for fault in ("401", "500-html", "422", "error-200", "drop-body"):
        sandbox.inject(fault, times=None, path="/chat/completions")
        try:
            connect(sandbox, retries=0).complete(HELLO)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked through
            said += [repr(error), str(error), getattr(error, "hint", "")]
        sandbox.clear()
    assert len(said) > 5
    everything = "\n".join([*said, caplog.text])
    assert KEY not in everything
    assert SECRET not in everything
