"""`langchain-gigachat` judges the sandbox, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_gigachat import GigaChat, GigaChatEmbeddings

from ragkit.sandbox import Sandbox


def options(sandbox: Sandbox) -> dict[str, object]:
    return {
        "credentials": sandbox.credentials,
        "base_url": sandbox.gigachat_url,
        "auth_url": sandbox.auth_url,
        "verify_ssl_certs": False,
    }


@pytest.fixture
def chat(sandbox: Sandbox) -> Iterator[GigaChat]:
    made = GigaChat(model="GigaChat-2", streaming=True, **options(sandbox))
    yield made
    made._client.close()


@tool
def find_passage(query: str) -> str:
    """Find a passage of the documents."""
    return query


def test_embeddings(sandbox: Sandbox) -> None:
    """The nearest of some documents is the one that shares the query's words."""
    embedder = GigaChatEmbeddings(model="Embeddings", **options(sandbox))
    documents = ["Кошки любят молоко.", "Собаки лают на почтальона.", "Налоги платят до декабря."]
    vectors = embedder.embed_documents(documents)
    query = embedder.embed_query("почтальон и собаки")
    scores = [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]
    assert scores.index(max(scores)) == 1
    embedder._client.close()


def test_chat(chat: GigaChat) -> None:
    """An answer with its usage."""
    reply = chat.invoke([HumanMessage("Привет")])
    assert "Привет" in str(reply.content)
    assert reply.usage_metadata is not None
    assert reply.response_metadata["finish_reason"] == "stop"


def test_stream(chat: GigaChat) -> None:
    """Pieces that join to the whole answer."""
    pieces = list(chat.stream("Расскажи про кота"))
    assert len(pieces) > 2
    assert "".join(str(piece.content) for piece in pieces) == str(chat.invoke("Расскажи про кота").content)


def test_tools(chat: GigaChat) -> None:
    """A bound tool is called, and its result answered with."""
    bound = chat.bind_tools([find_passage], tool_choice="auto")
    question = HumanMessage("Что едят собаки?")
    called = bound.invoke([question])
    assert isinstance(called, AIMessage)
    (call,) = called.tool_calls
    assert call["name"] == "find_passage"
    assert call["args"] == {"query": "Что едят собаки?"}
    result = ToolMessage(
        '{"passages": [{"n": 1, "text": "Собаки едят мясо."}]}', tool_call_id=call["id"], name=call["name"]
    )
    assert bound.invoke([question, called, result]).content == "Собаки едят мясо. [1]"
