"""An answer from whole documents of an index, each of them one numbered source.

A quote is looked up in its document as one of a passage is, and has the page and line of the place where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragkit.generative import Told, after, answered
from ragkit.positions import Positions
from ragkit.prompts import Passage, grounded, numbered_source
from ragkit.types import Answer, Chunk, Document, Hit

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions, Message
    from ragkit.prompts import Template
    from ragkit.protocols import ChatModel

_MARKS = "5f1d9c07e3b82a46d04c7b91fa6e3825"  # a nonce like those of requests: its marks are counted


def from_documents(
    chat: ChatModel,
    question: str,
    documents: Sequence[Document],
    *,
    template: Template | None = None,
    history: Sequence[Message] = (),
    nonce: str | None = None,
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Answer:
    """One request: the question with all of the documents, whatever room they take. The rest as `from_passages`."""
    passages = [_passage(document) for document in documents]
    known = {document.source: document for document in documents}
    return answered(
        chat,
        question,
        after(history, grounded(question, passages, template=template, nonce=nonce)),
        [passage.hit for passage in passages],
        "attached",
        document=known.__getitem__,
        options=options,
        told=told,
    )


def as_source(document: Document) -> str:
    """The document as it stands in a prompt, with its header and its marks: what counts its tokens."""
    return numbered_source(1, _passage(document), "ru", _MARKS)


def _passage(document: Document) -> Passage:
    size, places = len(document.text), Positions(document)
    chunk = Chunk(document.source, 0, size, document.text, places.page(0), places.heading(0))
    return Passage(Hit(0, chunk, 1.0), document.title, last_page=places.page(max(0, size - 1)))
