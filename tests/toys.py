"""Small real objects that fill the seams and can be checked by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ragkit.chunking import RecursiveChunker
from ragkit.loaders.isolation import ParserPool
from ragkit.messages import ChatOptions, Completion, Delta, Message
from ragkit.rag import RAG
from ragkit.store.local import LocalStore
from ragkit.types import FloatMatrix, FloatVector


class ColourEmbedder:
    """A vector says how often a text names red, green and blue. `texts` is every text it was given."""

    model = "colours/1"
    colours = ("red", "green", "blue")

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        self.texts += texts
        return np.stack([self._vector(text) for text in ("", *texts)])[1:]  # (0, d) for no texts

    def embed_query(self, text: str) -> FloatVector:
        return self._vector(text)

    def _vector(self, text: str) -> FloatVector:
        words = re.findall(r"\w+", text.lower())
        return np.array([0.1, *(words.count(colour) for colour in self.colours)], np.float32)


class Says:
    """A model that says what it was given, one piece of five letters after another, and keeps what it was told."""

    chat_model = "parrot"

    def __init__(self, *answers: Message | str, reason: str = "stop") -> None:
        self.answers = [Message("assistant", each) if isinstance(each, str) else each for each in answers]
        self.reason = reason
        self.told: list[Sequence[Message]] = []
        self.choices: list[object] = []

    def complete(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[object] = (),  # noqa: ARG002 - the seam's signature
        function_call: object = "none",
        options: ChatOptions | None = None,  # noqa: ARG002 - the seam's signature
    ) -> Completion:
        self.told.append(list(messages))
        self.choices.append(function_call)
        message = self.answers.pop(0)
        return Completion(message, "function_call" if message.function_call else self.reason, "parrot:1")

    def stream(self, messages: Sequence[Message], **said: object) -> Iterator[Delta]:
        whole = self.complete(messages, **said)  # type: ignore[arg-type]  # handed on as it came
        for start in range(0, len(whole.text), 5):
            yield Delta(whole.text[start : start + 5])
        yield Delta(completion=whole)


def colour_rag(index: Path, embedder: ColourEmbedder | None = None) -> RAG:
    """A RAG that embeds by colours."""
    return RAG(
        LocalStore(index),
        embedder or ColourEmbedder(),
        RecursiveChunker(size=200, overlap=0),
        lambda: ParserPool(2),
        max_file_size=1 << 20,
    )
