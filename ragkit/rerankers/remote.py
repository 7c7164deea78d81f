"""A model behind a service that reads the query with each passage and says how well the two go together.

It knows the way to the service as an object that sends requests, and nothing of keys and addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragkit.errors import ConfigError
from ragkit.metering import spend
from ragkit.providers.batches import Limits, batches
from ragkit.providers.wire import rerank
from ragkit.rerankers import beginning, reordered
from ragkit.types import Hit, Usage

if TYPE_CHECKING:
    from ragkit.providers.failures import Words
    from ragkit.providers.http import Http
    from ragkit.providers.jsontext import Reply

# Every server takes a search's hits at once, but for TEI, which takes 32 texts unless it was started otherwise.
_LIMITS = {"tei": Limits(items=32)}
_USUAL = Limits(items=100)
# A model of 512 tokens, as most of those one serves oneself, reads some 1300 characters of Russian with the query; a
# merged hit has up to 2400 and is shown as a whole, for servers cut what is too much.
LONGEST = 2400


class RemoteReranker:
    """Fills Reranker with a service.

    Scores of several requests are taken to be of one scale, which holds for models that judge each passage alone.

    Args:
        http: what sends requests, or makes that when there is one to send.
        model: its id; TEI needs none.
        style: how requests are written: "cohere" (Jina, vLLM, llama.cpp and gateways too), "voyage" or "tei".
        path: below the base URL of `http`.
        limits: texts, bytes and estimated tokens of one request.
        longest: characters of a passage that are shown to the model.
        price: money for a million tokens.
    """

    def __init__(
        self,
        http: Http | Callable[[], Http],
        model: str = "",
        *,
        style: str = "cohere",
        path: str = "/rerank",
        limits: Limits | None = None,
        longest: int = LONGEST,
        price: float = 0.0,
    ) -> None:
        if style not in rerank.STYLES:
            raise ConfigError(
                f"no rerank request is written as {style!r}", f"choose one of: {', '.join(rerank.STYLES)}"
            )
        if not model and rerank.STYLES[style].model:
            raise ConfigError("no model that ranks is named", "set rerank_model")
        self._http = http
        self._model = model
        self._style = style
        self._path = path
        self._limits = limits or _LIMITS.get(style, _USUAL)
        self._longest = longest
        self._price = price

    def __call__(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits by the service's scores, best first; nothing is asked about fewer than two.

        Raises ProviderError where the service fails, BadResponse for scores that cannot be told apart or compared.
        """
        if len(hits) < 2:
            return list(hits)
        texts = [beginning(hit.chunk.text, self._longest) for hit in hits]
        room = max(1, self._limits.bytes - len(query.encode(errors="replace")))
        found: dict[int, float] = {}
        for places, batch in batches(texts, replace(self._limits, bytes=room)):
            found.update(zip(places, self._ask(query, batch), strict=True))
        return reordered(hits, found)

    def _ask(self, query: str, texts: list[str]) -> list[float]:
        def parse(reply: Reply) -> tuple[list[float], Usage]:
            scores, usage = rerank.scores(reply.json(), count=len(texts))
            return scores, usage + reply.wasted

        http = self._http() if callable(self._http) else self._http
        scores, usage = http.request(
            "POST",
            self._path,
            json=rerank.body(self._model, query, texts, style=self._style),
            parse=parse,
            hint=_hint,
        )
        spend(replace(usage, cost=usage.prompt_tokens * self._price / 1_000_000))
        return scores


def _hint(status: int, words: Words) -> str:  # noqa: ARG001 - the signature of a hint
    """What is special about these routes; empty leaves it to the usual cures."""
    return (
        "check rerank_base_url and rerank_model: most servers rank at /v1/rerank, text-embeddings-inference without /v1"
        if status in (404, 405)
        else ""
    )
