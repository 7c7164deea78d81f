"""Retrieval or attachment: whether a question is answered from passages or from whole documents, and why.

The decision is a pure function of sizes, limits and prices; a person is told it in one sentence. It opens no index and
calls no service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from ragkit.budget import Prices
from ragkit.errors import ConfigError
from ragkit.generative.attached import LONGEST_TEXT
from ragkit.numbers import number
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.wire.files import LIMITS, TYPES
from ragkit.routing.material import Material
from ragkit.routing.money import ANSWER, check_cost
from ragkit.settings import NO_CHAT_MODEL, ROUTES
from ragkit.types import Usage

AUTO, RETRIEVAL, ATTACHMENT = ROUTES

CONTEXT = 32_768  # tokens: the first generation of GigaChat, and the least that is usual
RESERVED = 2_000  # tokens of it for rules and answer
# Tokens up to which documents are read as a whole, where nothing else decides: some 25 pages of Russian. A judgement,
# not a measurement: what needs the whole, as a summary, is answered better from it, and each question pays for it all.
WHOLE = 20_000
PASSAGES = 2_000  # tokens of six passages of 800 characters

_A = {"image": "an image", "audio": "a recording"}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the chat service takes.

    `keeps_files`: files are uploaded; otherwise texts and images go inside the message. `context` is tokens of
    question, documents and answer together; `documents` how many uploaded ones it reads in one request, 0 for any
    number; `limits` bytes of an uploaded file by its kind.
    """

    keeps_files: bool = False
    context: int = CONTEXT
    documents: int = 1
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    prices: Prices = Prices()


@dataclass(frozen=True, slots=True)
class Route:
    """The way that was chosen, and in one sentence why.

    `estimated_tokens` is what this question is billed that way, with the vectors that it needs; None where nobody can
    say before. `cost` is money for them and for an answer of ANSWER tokens, 0 where no prices are configured.
    """

    kind: str
    reason: str
    estimated_tokens: int | None = None
    cost: float = 0.0


def choose(
    materials: Sequence[Material],
    question: str,
    *,
    route: str = AUTO,
    abilities: Abilities | None = None,
    passages: int = PASSAGES,
    whole: int = WHOLE,
    max_cost: float | None = None,
    indexed: bool = False,
) -> Route:
    """Which way to answer. A way that was asked for is taken, unless it leads nowhere or is too dear.

    Of files that were asked to be attached, the service has the last word on its limits; texts without files have to
    fit into what the model takes.

    Args:
        abilities: of the chat service; None where there is none, so that nothing can be attached.
        passages: tokens that retrieval sends with a question.
        whole: tokens up to which documents are read as a whole, where both ways are open.
        max_cost: money for one question, above which nothing is attached by itself, and no way is taken.
        indexed: whether vectors cost nothing more: the documents have them, or no service makes them.

    Raises:
        ConfigError: an unknown route, nothing to ask about, or a way that leads nowhere.
        LoadError: only retrieval is open, and there is no text.
        BudgetExceeded: the only way that is open costs more than the limit.
    """
    check_route(route)
    if not materials:
        raise ConfigError("there is nothing to ask about", "name a file, or index a folder")
    ways = _Ways(materials, question, abilities.prices if abilities else Prices(), passages, indexed)
    chosen = _only_way(ways, route, abilities) or _by_itself(ways, abilities or Abilities(), whole, max_cost)
    # Passages are as many as can be paid for; the vectors that find them are not fewer for it.
    check_cost(chosen.estimated_tokens, chosen.cost if chosen.kind == ATTACHMENT else ways.vectors, max_cost)
    return chosen


def check_route(route: str) -> None:
    """Raises ConfigError for an unknown one."""
    if route not in ROUTES:
        raise ConfigError(f"the route is {route!r}", f"choose one of: {', '.join(ROUTES)}")


def _only_way(ways: _Ways, route: str, abilities: Abilities | None) -> Route | None:
    """The way that was asked for, or the only one that is open; None where there is a choice."""
    materials = ways.materials
    if route == RETRIEVAL:
        if ways.blind:
            raise ConfigError(
                f"{ways.blind.name} is {_A[ways.blind.kind]}, and has no text to search in",
                "let the route be auto or attachment",
            )
        return ways.retrieval("passages are searched for, as was asked")
    if abilities is None:
        if route == ATTACHMENT or ways.blind:
            raise ConfigError(
                f"no chat model is configured that could read {ways.blind.name if ways.blind else _named(materials)}",
                f"{NO_CHAT_MODEL}; what has text can be searched without, by the route retrieval",
            )
        return ways.retrieval("no chat model is configured that could read a whole document: passages are searched for")
    if route == ATTACHMENT:
        obstacle = _context(materials, ways.texts + ways.asked, abilities)
        if obstacle and not any(each.size for each in materials):
            raise ConfigError(
                obstacle,
                "narrow the documents with conditions, let the route be auto, or set context_tokens to what the model "
                "takes",
            )
        return ways.attachment(f"the model reads all of {_named(materials)}, as was asked")
    if ways.blind:
        return ways.attachment(f"{ways.blind.name} is {_A[ways.blind.kind]}: only the model can make something of it")
    return None


class _Ways:
    """Both ways for one question, each with its bill."""

    def __init__(
        self, materials: Sequence[Material], question: str, prices: Prices, passages: int, indexed: bool
    ) -> None:
        self.materials = materials
        self.blind = next((each for each in materials if each.kind != "text"), None)
        self.unread = [each for each in materials if each.error]
        self.texts = sum(each.tokens or 0 for each in materials)
        self.asked = estimated_tokens(question)
        self._prices = prices
        self._passages = passages
        self._embedded = 0 if indexed else self.texts

    @property
    def cost(self) -> float:
        """Money for attaching."""
        return self._prices.of(Usage(prompt_tokens=self.texts + self.asked, completion_tokens=ANSWER))

    @property
    def vectors(self) -> float:
        """Money for what retrieval has to embed first."""
        return self._prices.of(Usage(embedding_tokens=self._embedded))

    def attachment(self, reason: str) -> Route:
        if any(each.tokens is None for each in self.materials):
            return Route(ATTACHMENT, reason)
        return Route(ATTACHMENT, reason, self.texts + self.asked, self.cost)

    def retrieval(self, reason: str) -> Route:
        """From what has text. Raises the LoadError of the first file where none has."""
        if self.unread:
            error = self.unread[0].error
            if error and len(self.unread) == len(self.materials):
                raise error
            reason += f"; no text of {', '.join(each.name for each in self.unread)} could be read"
        usage = Usage(prompt_tokens=min(self._passages, self.texts) + self.asked, embedding_tokens=self._embedded)
        cost = self._prices.of(usage + Usage(completion_tokens=ANSWER))
        return Route(RETRIEVAL, reason, usage.total_tokens, cost)


def _by_itself(ways: _Ways, abilities: Abilities, whole: int, max_cost: float | None) -> Route:
    named = _named(ways.materials)
    obstacle = _obstacle(ways.materials, ways.texts + ways.asked, abilities)
    if obstacle:
        return ways.retrieval(f"{obstacle}: passages are searched for")
    if ways.unread:
        return ways.attachment(f"no text of {ways.unread[0].name} could be read here: the model gets the file itself")
    if max_cost is not None and ways.cost > max_cost:
        return ways.retrieval(
            f"to read all of {named} would cost {ways.cost:.4g}, and {max_cost:.4g} is the limit: passages are "
            "searched for"
        )
    if ways.texts > whole:
        return ways.retrieval(
            f"{named} has about {number(ways.texts)} tokens, more than the {number(whole)} that are read whole for a "
            "question: passages are searched for"
        )
    return ways.attachment(f"{named} has about {number(ways.texts)} tokens: the model reads all of it")


def _obstacle(materials: Sequence[Material], tokens: int, abilities: Abilities) -> str:
    """Why these documents cannot be given to the model as a whole; empty where they can."""
    uploaded = [each for each in materials if abilities.keeps_files and each.size]
    if abilities.documents and len(uploaded) > abilities.documents:
        most = "one document" if abilities.documents == 1 else f"{abilities.documents} documents"
        return f"the model reads {most} in a request, and {len(uploaded)} are asked about"
    for each in materials:
        if said := _too_much(each, abilities) if each in uploaded else _outside(each):
            return said
    return _context(materials, tokens, abilities)


def _context(materials: Sequence[Material], tokens: int, abilities: Abilities) -> str:
    if tokens + RESERVED > abilities.context:
        return (
            f"{_named(materials)} has with the question about {number(tokens)} tokens, too many for the "
            f"{number(abilities.context)} of the model"
        )
    return ""


def _too_much(file: Material, abilities: Abilities) -> str:
    if PurePath(file.name).suffix.lower().removeprefix(".") not in TYPES:
        return f"the service takes no files like {file.name}"
    most = abilities.limits[file.kind]
    if file.size <= most:
        return ""
    return f"{file.name} has {number(file.size)} bytes, and the service takes {number(most)}"


def _outside(text: Material) -> str:
    if text.error:
        return f"the service keeps no files, and {text.name} gave no text"
    if text.size and text.characters > LONGEST_TEXT:
        return f"{text.name} has {number(text.characters)} characters, and {number(LONGEST_TEXT)} fit into a question"
    return ""


def _named(materials: Sequence[Material]) -> str:
    return materials[0].name if len(materials) == 1 else f"the text of {len(materials)} documents"
