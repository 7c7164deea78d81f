"""What is evaluated: an index, the settings it is asked with, and its name in the table; two of them to compare.

Collections are indexed here, into the index that was named or into one that lasts as long as the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ragkit.errors import BudgetExceeded, ConfigError, IndexNotFound
from ragkit.numbers import count
from ragkit_cli.options import open_index, settings
from ragkit_cli.render import near_path, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from ragkit.budget import Budget
    from ragkit.evaluation.sets import TestSet
    from ragkit.rag import RAG
    from ragkit.settings import Settings
    from ragkit.types import Document

_SLICE = 200  # documents that are indexed at once where there is a limit, which is looked at between slices
# Settings that change how an index is asked and answered from, not what is in it: trying them embeds nothing anew.
OF_ASKING = frozenset(
    {"index", "mode", "limit", "recall", "passages", "route", "query_model", "query_prefix", "candidates", "mmr"}
    | {"rerank", "rerank_provider", "rerank_model", "rerank_base_url", "rerank_api_key", "rerank_style", "rerank_price"}
    | {"chat_provider", "chat_model", "gigachat_model", "temperature", "top_p", "repetition_penalty", "rounds"}
    | {"max_answer_tokens", "update_interval", "profanity_check", "session"}
    | {"context_tokens", "parents", "prompt_template", "refuse_early"}
    | {"embed_price", "prompt_price", "completion_price", "currency"}
    | {"slots", "batch_items", "timeout", "retries", "proxy", "workers", "max_file_size"}
    | {"api_key", "openai_api_key", "embed_api_key", "auth_scheme", "headers", "ca_file", "verify"}
    | {"gigachat_credentials", "gigachat_scope", "gigachat_access_token", "gigachat_user", "gigachat_password"}
    | {"gigachat_auth_url", "gigachat_ca_file", "gigachat_cert_file", "gigachat_key_file", "gigachat_key_password"}
    | {"gigachat_verify", "gigachat_client"}
    | {"image_provider", "image_model", "image_base_url", "image_api_key"}
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One index, asked in one mode. `index` is its path, empty for one that goes when the command ends."""

    name: str
    mode: str
    index: str
    settings: Settings
    rag: RAG


class Trials:
    """Opens what is to be asked, and closes it with the stack."""

    def __init__(self, stack: ExitStack, chosen: TestSet, budget: Budget, *, quiet: bool) -> None:
        self._stack = stack
        self._set = chosen
        self._budget = budget
        self._quiet = quiet

    def first(self, index: str | None, modes: Sequence[str]) -> list[Trial]:
        """The index that was named, or found, or made of the collection; once for each mode."""
        asked = settings(index=index)
        if self._set.documents:
            asked, rag, kept = self._made(asked, index, self._set.documents)
        else:
            rag, kept = self._stack.enter_context(open_index(asked)), True
            rag.status()  # raises IndexNotFound
        return [Trial(mode, mode, str(asked.index) if kept else "", asked, rag) for mode in modes or [asked.mode]]

    def second(self, firsts: Sequence[Trial], compared: str) -> list[Trial]:
        """What each of the first is compared with: the same in another index, or with other settings."""
        changes = _changes(compared)
        base = firsts[0]
        place = base.index
        if "index" in changes or OF_ASKING.issuperset(changes):
            asked = settings(**{"index": str(base.settings.index), **changes})
            rag = base.rag if set(changes) == {"mode"} else self._open(asked)
            if "index" in changes:
                rag.status()  # raises IndexNotFound
                place = str(asked.index)
        else:
            asked, rag, _ = self._made(settings(**changes), None, self._set.documents or _documents(base.rag))
            place = ""
        label = near_path(changes["index"]) if set(changes) == {"index"} else _said(changes, asked)
        if "mode" in changes:
            return [Trial(asked.mode if len(changes) == 1 else label, asked.mode, place, asked, rag)]
        return [Trial(f"{each.mode}, {label}", each.mode, place, asked, rag) for each in firsts]

    def _open(self, asked: Settings) -> RAG:
        return self._stack.enter_context(open_index(asked))

    def _made(
        self, asked: Settings, index: str | None, documents: Sequence[Document] | Iterator[Document]
    ) -> tuple[Settings, RAG, bool]:
        """An index of these documents: at `index`, or in a folder that goes when the command ends."""
        from dataclasses import replace

        from ragkit.evaluation.bill import Bill

        folder = index or self._stack.enter_context(TemporaryDirectory(prefix="ragkit-eval-"))
        asked = asked if index else replace(asked, index=Path(folder) / "index")
        rag = self._open(asked)
        every = list(documents)
        if index:
            _check_own(rag, {document.source for document in every})
        paid = is_paid(asked, "embed")
        where = f" into {near_path(index)}" if index else ""
        by = ", with requests for embeddings" if paid else ""
        say(f"Indexing {count(len(every), 'document')}{where}{by} …", quiet=self._quiet)
        bill = Bill(self._budget if paid else None)
        size = _SLICE if bill.limited else len(every)
        for start in range(0, len(every), size):
            part = every[start : start + size]
            if stopped := bill.refuses(sum(len(document.text) for document in part)):
                raise BudgetExceeded(
                    f"{start} of {len(every)} documents are indexed; {stopped}",
                    "name an index with -i, which keeps what was paid for, and run again with a higher limit",
                )
            with bill.item():
                rag.add(part)
        return asked, rag, index is not None


def is_paid(chosen: Settings, role: str) -> bool:
    """Whether a service fills the role "embed" or "chat"."""
    from ragkit.services import OFFLINE, provider_of

    return provider_of(chosen, role) != OFFLINE


def _changes(compared: str) -> dict[str, str]:
    """A path as {"index": path}, "mode=lexical,chunk_size=400" as settings."""
    if "=" not in compared or Path(compared).exists():
        return {"index": compared}
    changes = {}
    for pair in compared.split(","):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"--compare {compared}: {pair!r} is no setting", "write NAME=VALUE,NAME=VALUE, or the path of an index"
            )
        changes[name.strip()] = value.strip()
    return changes


def _said(changes: dict[str, str], asked: Settings) -> str:
    """The changes as they were written, but for secrets: reports and pictures are passed on."""
    from ragkit.secret import Secret

    hidden = {name for name in changes if isinstance(getattr(asked, name), Secret)}
    return ",".join(f"{name}={'…' if name in hidden else value}" for name, value in changes.items())


def _documents(rag: RAG) -> Iterator[Document]:
    """Every document of an index, from the texts that it keeps: no file is read."""
    return (rag.document(info.source) for info in rag.documents() if info.chunks)


def _check_own(rag: RAG, sources: set[str]) -> None:
    """Raises ConfigError where the index has documents of the user's own, among which a collection would be lost."""
    try:
        others = [info.source for info in rag.documents() if info.source not in sources]
    except IndexNotFound:
        return
    if others:
        raise ConfigError(
            f"{rag.path} has {count(len(others), 'document')} not of the collection, such as {others[0]!r}",
            "name a new index with -i, or none for one that is not kept",
        )
