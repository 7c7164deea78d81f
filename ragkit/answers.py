"""The nouns of answering. Frozen and slotted; they know nothing of files, models or storage.

Apart from those of documents and of searching, which a cold search then loads without these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ragkit.types import Hit, Usage


class Verification(StrEnum):
    """How a quote was found in the stored text of its document."""

    EXACT = "exact"
    NORMALIZED = "normalized"
    NOT_FOUND = "not_found"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and the place where it stands; page and line belong to the quote, not to its chunk.

    A quote that was not found stands nowhere: start, end and line are 0, and `quote` is what the answer says.
    """

    marker: str
    source: str
    page: int | None
    line: int
    start: int
    end: int
    quote: str
    verification: Verification


class Support(StrEnum):
    """What stands behind a sentence of an answer: a quote that was found, one that was not, or no source at all."""

    VERIFIED = "verified"
    NOT_FOUND = "not_found"
    UNCITED = "uncited"


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer, `answer.text[start:end]`, and the numbers of the sources that it names."""

    text: str
    start: int
    end: int
    support: Support
    markers: tuple[int, ...] = ()


class Status(StrEnum):
    ANSWERED = "answered"
    PARTIAL = "partial"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a question is not answered. "nothing_indexed": also where no document fulfils the conditions."""

    NOTHING_INDEXED = "nothing_indexed"
    NOTHING_RELEVANT = "nothing_relevant"
    NOT_IN_SOURCES = "not_in_sources"
    FILTERED = "filtered"  # by the service


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` with markers [1], [2], … that `citations` resolve. `reason` says in words why it is not a whole answer.

    `refusal` is set where the status is REFUSED, and nowhere else; `hits` are then the nearest that there are.
    `mode` says who wrote it: "extractive" for sentences taken verbatim, with no model; "generative" for a model
    that was given passages, "agentic" for one that looked for them, "attached" for one that read whole documents.
    `timings` are seconds by step. `notes` tell what else the reader should know. `statements` are the sentences of
    the text with their support, empty where nobody has compared them with the sources. `dropped` names the passages
    that the prompt had no room for.
    """

    question: str
    text: str
    status: Status
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    reason: str = ""
    mode: str = "extractive"
    model: str = ""
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    dropped: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @classmethod
    def refused(
        cls,
        question: str,
        refusal: Refusal,
        reason: str,
        *,
        mode: str = "extractive",
        hits: Sequence[Hit] = (),
        dropped: Sequence[str] = (),
    ) -> Answer:
        """No answer, and why."""
        return cls(
            question,
            "",
            Status.REFUSED,
            hits=tuple(hits),
            reason=reason,
            mode=mode,
            dropped=tuple(dropped),
            refusal=refusal,
        )
