"""class RAG: every flow of ragkit as one straight line. It knows the seams, and no filling by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ragkit.errors import ConfigError, LoadError
from ragkit.filters import Where, parse_where
from ragkit.settings import MODES, NO_CHAT_MODEL
from ragkit.types import Document, Hit

if TYPE_CHECKING:
    from ragkit.answers import Answer
    from ragkit.evaluation.drafting import Drafts
    from ragkit.evaluation.mapping import Map
    from ragkit.generative import Layout
    from ragkit.messages import Delta, Talk
    from ragkit.protocols import ChatModel, Chunker, Embedder, Parsers, Store
    from ragkit.reports import DocumentInfo, Finding, IndexReport, IndexStatus, Progress
    from ragkit.rerankers.ordering import Ordering
    from ragkit.routing import Abilities
    from ragkit.types import FloatVector
    from ragkit.uploads import Uploads


class RAG:
    """An index with the models around it. `ragkit.open` makes one; threads may share it for reading.

    Args:
        store: where documents, chunks and vectors are kept.
        embedder: makes vectors of texts and queries.
        chunker: cuts documents.
        parsers: makes what reads files; called once for each run over a folder.
        max_file_size: bytes; larger files are reported and not read.
        recipe: how the chunker cuts, in words of the caller's own; with another one a folder is cut again.
        chat: gives what writes answers, when one is first needed; without it answers quote the documents.
        rounds: searches that a model may ask for before it must answer.
        judges: refuse before the chat model is asked, where no passage is about the question.
        uploads: the file that remembers what was left with a service; the user's own unless named.
        layout: what the prompt of an answer is made of.
        ordering: puts what was found into another order, by a reranker or for variety.
        close: called by `close`, for what else was opened around it.
        another: a RAG like this one over another folder, to search in files; without it they can only be attached.
        abilities: what the chat service takes, as far as the settings know; for the choice of a route.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        chunker: Chunker,
        parsers: Callable[[], AbstractContextManager[Parsers]],
        *,
        max_file_size: int,
        recipe: str = "",
        chat: Callable[[], ChatModel] | None = None,
        rounds: int = 5,
        judges: bool = False,
        uploads: Path | None = None,
        close: Callable[[], object] | None = None,
        layout: Layout | None = None,
        ordering: Ordering | None = None,
        another: Callable[[Path], RAG] | None = None,
        abilities: Callable[[], Abilities] | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._chunker = chunker
        self._parsers = parsers
        self._max_file_size = max_file_size
        self._recipe = recipe
        self._chat = chat
        self._rounds = rounds
        self._judges = judges
        self._uploads = uploads
        self._close = close
        self._layout = layout
        self._ordering = ordering
        self._another = another
        self._abilities = abilities

    @property
    def path(self) -> Path:
        """Where the index is."""
        return self._store.path

    def index_folder(
        self,
        path: str | Path,
        *,
        progress: Callable[[Progress], None] | None = None,
        dry_run: bool = False,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        moved: bool = False,
    ) -> IndexReport:
        """Make the index agree with a folder, or with one file; run again, it costs only what changed.

        What could not be read is in the report, with its reason and cure; everything else is indexed. Whatever
        stops a run, what was embedded is kept, and the next run goes on from there.

        Args:
            path: a folder, with all that is below it, or a file.
            progress: called after each file and each batch that was embedded, from this thread.
            dry_run: tell what would be done and what it would cost; nothing is embedded, nothing stored. With a
                model that is not the index's, what moving the index to it costs is told too.
            max_tokens: the most that this run may be billed for embedding.
            max_cost: the same in money, where a price is configured.
            moved: a dry run takes the move to this embedder as done, whose cost `reembed` has told.

        Raises:
            ConfigError: the path does not exist, or there is a limit on money and no price.
            IndexLocked: another writer is at work.
            IndexMismatch: another embedding model made the index; see `reembed`.
            BudgetExceeded: the run stopped at a limit.
        """
        from ragkit.embedding_run import budget_for  # a search does not need these
        from ragkit.ingest import Ingest

        budget = budget_for(self._embedder, max_tokens, max_cost)
        with self._store.writing(discard=dry_run) as writer, self._parsers() as parsers:
            run = Ingest(
                writer,
                self._embedder,
                self._chunker,
                recipe=self._recipe,
                progress=progress,
                budget=budget,
                dry_run=dry_run,
                moved=moved,
            )
            return run.folder(Path(path), self._store.path, parsers, max_file_size=self._max_file_size)

    def reembed(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        dry_run: bool = False,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> IndexReport:
        """Move the whole index to this RAG's embedder; no file is read, and run again it goes on where it stopped.

        Until all is embedded, searches with the model from before go on; one commit then changes over. The
        arguments are those of `index_folder`, with documents for files.

        Raises:
            ConfigError: there is a limit on money and no price.
            IndexNotFound: there is no index yet.
            IndexLocked: another writer is at work.
            BudgetExceeded: the run stopped at a limit; the index is still that of the model from before.
        """
        from ragkit.embedding_run import budget_for  # a search does not need these
        from ragkit.reembedding import reembed

        budget = budget_for(self._embedder, max_tokens, max_cost)
        self._store.status()  # raises IndexNotFound: moving makes no index
        with self._store.writing(discard=dry_run) as writer:
            return reembed(writer, self._embedder, self._store.path, progress=progress, budget=budget, dry_run=dry_run)

    def add(self, documents: Iterable[Document]) -> IndexReport:
        """Put documents into the index, each in the place of one with the same source."""
        from ragkit.ingest import Ingest  # a search does not need it

        with self._store.writing() as writer:
            return Ingest(writer, self._embedder, self._chunker).documents(documents, self._store.path)

    def remove(self, *sources: str) -> int:
        """Take out documents, by their sources or by globs; gives how many.

        A file that stays in its folder comes back with the next run over the folder. Raises ConfigError for what is
        no text.
        """
        for source in sources:
            if not isinstance(source, str):  # a list of them, as likely as not
                raise ConfigError(f"a source is text, not {type(source).__name__}", "rag.remove(*sources)")
        return self._store.remove(*sources)

    def search(self, query: str, k: int = 10, *, mode: str = "hybrid", where: Where | None = None) -> list[Hit]:
        """The k best passages, best first; neighbours in one document come as one, up to 2400 characters.

        Args:
            query: a question or words, in any language.
            k: passages wanted; fewer come only where fewer fulfil the conditions, or in "lexical" mode match.
            mode: "hybrid" for words and vectors together, "lexical" or "dense" for one of them.
            where: conditions on documents, {"type": "pdf"} or ["year>=2024", "source!=*.docx"]; all must hold.

        Raises:
            ConfigError: an empty query, an unknown mode, a key that no document has.
            IndexNotFound: there is no index yet.
            IndexMismatch: another embedding model made the index.
        """
        if mode not in MODES:
            raise ConfigError(f"the mode is {mode!r}", f"choose one of: {', '.join(MODES)}")
        if not query.strip():
            raise ConfigError("the query is empty", "say what to look for")
        if k < 1:
            raise ConfigError(f"{k} passages are wanted", "ask for one or more")
        conditions = parse_where(where)
        wanted = max(k, self._ordering.candidates) if self._ordering else k
        if mode == "lexical":
            hits = self._store.search(query, None, k=wanted, conditions=conditions)
        else:
            # By name, not by protocol: importing the protocols costs a search more than this line.
            self._store.check_model(self._embedder.model, getattr(self._embedder, "preparation", None))
            vector = self._vector(query)
            words = query if mode == "hybrid" else ""
            hits = self._store.search(words, vector, k=wanted, conditions=conditions, model=self._embedder.model)
        return self._ordering(query, hits, k) if self._ordering else hits

    def ask(
        self,
        question: str,
        k: int = 6,
        *,
        mode: str = "hybrid",
        where: Where | None = None,
        route: str | None = None,
        max_cost: float | None = None,
        agentic: bool = False,
        told: Callable[[Delta], None] | None = None,
        talk: Talk | None = None,
    ) -> Answer:
        """Answer from the k best passages: in the words of the chat model, or without one in those of the documents.

        Where nothing indexed answers, the status is "refused"; `refusal` and `reason` say why. Sentences taken
        verbatim, without a model, come with source, page and line each.

        Args:
            question: in any language; the answer is in the same.
            route: "attachment" gives the model the whole documents that fulfil the conditions, and "auto" does where
                they are short enough. With a route, "retrieval" too, the first of the notes says why it was that.
            max_cost: money for the question, where prices are configured; passages that it has no room for are dropped.
            agentic: let the model search by itself, several times and in its own words.
            told: called with each piece of the answer as it is written, and with news of searches.
            talk: the turns before the question, for the chat model; `ragkit.dialogue` keeps them.

        Raises:
            ConfigError: as `search`; `agentic` without a chat model, or with a route or a limit; a route that leads
                nowhere; a limit and no prices.
            BudgetExceeded: the question would cost more than the limit.
            ProviderError: the service failed; StreamInterrupted holds what had come of the answer.
        """
        from ragkit.asking import Index, Writer, ask_agent, ask_index  # a search needs none of it
        from ragkit.metering import metered

        conditions = parse_where(where)
        index = Index(
            search=lambda query: self.search(query, k, mode=mode, where=where),
            words=lambda query: self._store.search(query, None, k=k, conditions=conditions),
            infos=lambda: self._store.documents(conditions),
            document=cache(self._store.document),  # for search, prompt and quotes alike
            idf=self._store.idf,
            level=self._level,
            conditions=conditions,
        )
        if agentic and (route or max_cost is not None):
            raise ConfigError("a model that searches by itself knows no route and no limit", "leave one of them out")
        chat = self._chat_model("search by itself") if agentic else self.chat()
        writer = Writer(chat, self._layout, self._abilities, talk, told, self._judges)
        with metered() as meter:
            if agentic and chat:
                answer = ask_agent(index, question, writer, chat, self._rounds)
            else:
                answer = ask_index(index, question, writer, route=route, max_cost=max_cost)
        return replace(answer, usage=meter.usage)

    def ask_file(
        self,
        files: str | Path | Sequence[str | Path],
        question: str,
        k: int = 6,
        *,
        mode: str = "hybrid",
        route: str = "auto",
        keep: bool = False,
        functions: bool = False,
        max_cost: float | None = None,
        told: Callable[[Delta], None] | None = None,
        talk: Talk | None = None,
        uploads: Uploads | None = None,
    ) -> Answer:
        """Answer from files: the model reads all of them, or passages found in them. The index need not exist.

        The first of the answer's notes says which way it was, and why.

        Args:
            files: documents, or up to ten images. Of several documents most services read one, but with `functions`.
            k: passages to answer from, where they are searched for, in this `mode`.
            route: "attachment", "retrieval", which makes an index of the files for this question alone and needs no
                chat model, or "auto" for the one that size, limits and kind of the files speak for.
            keep: leave the files with the service, and use them again when the same bytes are asked about.
            functions: let the model use its own functions, which read several documents. As `keep`, it attaches.
            max_cost: money for the question, where prices are configured; "auto" searches in a file that is too dear.
            told: called with each piece of the answer as it is written.
            talk: the turns before the question; nothing is searched for.
            uploads: what remembers the files, in place of the user's own memory.

        Raises:
            ConfigError: files that cannot be asked about, or not by this route; nothing was sent.
            BudgetExceeded: the question would cost more than the limit.
            LoadError: passages are searched for, and the files have no text.
        """
        from ragkit.asking import Writer  # a search needs none of it
        from ragkit.asking.files import ask_files
        from ragkit.metering import metered
        from ragkit.uploads import Uploads

        def ask(rag: RAG, left: float | None) -> Answer:
            return rag.ask(question, k, mode=mode, told=told, max_cost=left)

        with metered() as meter:
            answer = ask_files(
                [Path(file) for file in ([files] if isinstance(files, str | Path) else files)],
                question,
                Writer(self.chat(), self._layout, self._abilities, talk, told),
                route=route,
                keep=keep,
                functions=functions,
                max_cost=max_cost,
                embedding_model=self._embedder.model,
                load=self.read_file,
                opened=self._another,
                ask=ask,
                uploads=uploads or Uploads(self.uploads),
            )
        return replace(answer, usage=meter.usage)

    @property
    def uploads(self) -> Path:
        """The file that remembers what was left with a service."""
        from ragkit.uploads import default_place

        return self._uploads or default_place()

    def chat(self) -> ChatModel | None:
        """What writes answers; None where they quote the documents."""
        return self._chat() if self._chat else None

    def _level(self) -> float | None:
        """The cosine of unrelated texts here; None where vectors only repeat the words, or are too few to tell."""
        from ragkit.ranking import is_offline
        from ragkit.relevance import SAMPLE, level  # only where words would refuse

        return None if is_offline(self._embedder.model) else level(self._store.vectors(SAMPLE)[1])

    def _vector(self, query: str) -> FloatVector:
        """The vector of a query, (d,), by an embedder that may hand out lists."""
        import numpy as np

        return np.asarray(self._embedder.embed_query(query), np.float32)

    def _chat_model(self, purpose: str) -> ChatModel:
        if self._chat is None:
            raise ConfigError(f"no chat model is configured that could {purpose}", NO_CHAT_MODEL)
        return self._chat()

    def read_file(self, path: str | Path) -> Document:
        """The text of a file, as it would be indexed. Raises LoadError where there is none, with the path."""
        with self._parsers() as parsers, Path(path).open("rb") as file:
            try:
                return parsers.load(file, Path(path).name).document
            except LoadError as error:  # a report of indexing stands beside the name, and its cure ends with indexing
                named = type(error)(f"{path}: {error.message}", error.hint.removesuffix(" and index again"))
                named.code = error.code
                raise named from error

    def documents(self, where: Where | None = None) -> list[DocumentInfo]:
        """What is in the index, by source; and the files that gave nothing, with the reason.

        Conditions look at what is known of such a file: its `source`, `type` and `modified`.
        """
        return self._store.documents(parse_where(where))

    def document(self, source: str) -> Document:
        """The whole text of a document as it was indexed, with its landmarks. Raises ConfigError for an unknown one."""
        return self._store.document(source)

    def neighbours(self, id: int, *, before: int = 1, after: int = 1) -> list[Hit]:
        """The chunk with that id and those around it, in the order of the document; score 0.

        Raises ConfigError for an id that is not in the index.
        """
        if not isinstance(id, int):
            raise ConfigError(f"an id is a whole number, not {type(id).__name__}", "take it from a hit: hit.id")
        return self._store.neighbours(id, before, after)

    def map(self, query: str = "", k: int = 10, *, most: int = 5_000) -> Map:
        """The index in two dimensions: passages whose vectors are alike lie together, and a query among its k hits.

        Where there are more than `most` passages, some are taken at even distances.
        """
        from ragkit.evaluation.mapping import lay_out

        hits: list[Hit] = []
        vector = None
        if query.strip():
            self._store.check_model(self._embedder.model)
            vector = self._vector(query)
            hits = self._store.search(query, vector, k=k, model=self._embedder.model)
        places = {hit.id: place for place, hit in enumerate(hits, 1)}
        chunks, vectors = self._store.vectors(most, places)
        status = self._store.status()
        return lay_out(
            chunks, vectors, total=status.chunks, documents=status.documents, query=query, vector=vector, hits=places
        )

    def draft_questions(self, n: int = 50, *, max_tokens: int | None = None, max_cost: float | None = None) -> Drafts:
        """Questions that the documents answer, for review: by the chat model, a request each, or without one cut out.

        Args:
            n: how many; fewer come where the documents have fewer passages to ask about.
            max_tokens: the most that the model may be billed for; what was drafted before that is kept.
            max_cost: the same in money, where prices are configured.
        """
        from ragkit.budget import Budget
        from ragkit.evaluation.drafting import draft_questions

        budget = Budget(max_tokens=max_tokens, max_cost=max_cost)
        sources = [info.source for info in self.documents() if info.chunks]
        chat = self._chat() if self._chat else None
        return draft_questions(sources, self.document, chat=chat, n=n, budget=budget)

    def status(self) -> IndexStatus:
        """The index as a whole. Raises IndexNotFound where there is none."""
        return self._store.status()

    def check(self, *, data: bool = True, subset: tuple[int, int] = (1, 1)) -> list[Finding]:
        """Compare every stored byte with its checksum, counts with each other, caches with the truth. Changes nothing.

        Args:
            data: without it only pages, counts, sizes and headers are looked at.
            subset: (n, m) for the n-th of m parts that together are all; small tables are read each time.
        """
        return self._store.check(data=data, subset=subset)

    def repair(self, *, max_tokens: int | None = None, max_cost: float | None = None) -> list[Finding]:
        """Save what a damaged index holds, embed again what lost its vector, make caches anew; and check the result.

        The damaged catalog is kept beside the new one. Findings that are not ok say what is lost, and what brings it
        back; where the embedder is not the index's, or fails, chunks wait for their vectors and are found by words.

        Raises:
            IndexCorrupt: nothing can be proved any more, or the embedding model's name is lost.
            IndexLocked: another writer is at work.
        """
        from ragkit.embedding_run import budget_for
        from ragkit.mending import repair

        budget = budget_for(self._embedder, max_tokens, max_cost)
        return repair(self._store, self._embedder, self._chunker, budget=budget)

    def close(self) -> None:
        """Let go of all files and connections. A closed RAG opens them again when it is used."""
        self._store.close()
        if self._close:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
