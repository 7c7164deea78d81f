"""An answer from whole documents of an index, each of them one numbered source.

A quote is looked up in its document as one of a passage is, and has the page and line of the place where it stands.
A sentence that names a document and quotes nothing leads to the place that has most of its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragkit.answers import Answer, Citation, Support, Verification
from ragkit.citations.markers import without_markers
from ragkit.generative import Told, after, answered
from ragkit.positions import Positions
from ragkit.prompts import Passage, grounded, numbered_source
from ragkit.ranking import coverage
from ragkit.sentences import sentences
from ragkit.types import Chunk, Document, Hit

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions, Message
    from ragkit.prompts import Template
    from ragkit.protocols import ChatModel

_TOGETHER = 3  # sentences that are looked at together, for one alone seldom has all words of another
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
    answer = answered(
        chat,
        question,
        after(history, grounded(question, passages, template=template, nonce=nonce)),
        [passage.hit for passage in passages],
        "attached",
        document=known.__getitem__,
        options=options,
        told=told,
    )
    return replace(answer, citations=tuple(_cited(answer, known)))


def _cited(answer: Answer, known: dict[str, Document]) -> Iterator[Citation]:
    """The citations, those of a whole document narrowed to the places of the sentences that name it."""
    for citation in answer.citations:
        if citation.verification is not Verification.UNCHECKED or len(citation.quote) < len(
            known[citation.source].text
        ):
            yield citation
            continue
        number = int(citation.marker.strip("[]"))
        said = [
            without_markers(each.text)
            for each in answer.statements
            if number in each.markers and each.support is Support.NOT_FOUND
        ]
        document = known[citation.source]
        places = dict.fromkeys(filter(None, (_place(document, each) for each in said)))
        yield from (_at(citation, document, *place) for place in places) if places else [citation]


def _place(document: Document, sentence: str) -> tuple[int, int] | None:
    """Where the document has most of the sentence's words, within a few of its own; None where it has none."""
    spans = sentences(document.text)

    def score(first: int, last: int) -> float:
        return coverage(sentence, document.text[spans[first][0] : spans[last][1]], {})

    windows = [(first, min(first + _TOGETHER, len(spans)) - 1) for first in range(len(spans))]
    scores = [score(*window) for window in windows]
    best = max(scores, default=0.0)
    if not best:
        return None
    first, last = windows[scores.index(best)]
    while first < last and score(first + 1, last) >= best:
        first += 1
    while first < last and score(first, last - 1) >= best:
        last -= 1
    return spans[first][0], spans[last][1]


def _at(citation: Citation, document: Document, start: int, end: int) -> Citation:
    places = Positions(document)
    return replace(
        citation,
        page=places.page(start),
        line=places.line(start),
        start=start,
        end=end,
        quote=document.text[start:end],
    )


def as_source(document: Document) -> str:
    """The document as it stands in a prompt, with its header and its marks: what counts its tokens."""
    return numbered_source(1, _passage(document), "ru", _MARKS)


def _passage(document: Document) -> Passage:
    size, places = len(document.text), Positions(document)
    chunk = Chunk(document.source, 0, size, document.text, places.page(0), places.heading(0))
    return Passage(Hit(0, chunk, 1.0), document.title, last_page=places.page(max(0, size - 1)))
