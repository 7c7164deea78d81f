"""The word index: BM25 over stems, character 4-grams and sounds, kept by tantivy, which only this file imports.

A cache: whatever it holds can be made again from the catalogue, so anything wrong with it is answered by
deleting and rebuilding. It knows chunks by number only.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from ragkit import words
from ragkit.errors import StoreError

# Part of the name of a field, so that an index made by another version of this file or of `words` does not open.
_VERSION = 1
_MARKER = f"marker_v{_VERSION}"
GRAM_WEIGHT = 0.22  # of a 4-gram beside a stem; one value for all languages and kinds of text
PAIR_WEIGHT = 0.2  # of two neighbouring words
SOUND_WEIGHT = 0.3  # of a 4-gram of sounds met in the other script
_HEAP = 64_000_000  # bytes; tantivy's least is 15 MB a thread
_MOST_CLAUSES = 400  # distinct terms of one query; the rest are the commonest, which say least


class LexicalUnusable(StoreError):
    """The word index is missing, damaged or of another version: make it again with `LexicalIndex.create`."""

    code = "index_corrupt"


class LexicalIndex:
    """One snapshot of the index for reading, replaced by `update` and `reload`. Safe to share between threads."""

    def __init__(self, index: tantivy.Index, schema: tantivy.Schema) -> None:
        self._index = index
        self._schema = schema
        self._searcher = index.searcher()

    @classmethod
    def create(cls, path: Path | None) -> LexicalIndex:
        """An empty index, in memory where there is no path; what stood at the path is deleted."""
        schema = _schema()
        if path is None:
            index = tantivy.Index(schema)
        else:
            if path.exists():
                shutil.rmtree(path)
            path.mkdir(mode=0o700, parents=True)
            with _as_store_errors(f"cannot create the word index at {path}"):
                index = tantivy.Index(schema, path=str(path))
        index.config_reader(reload_policy="manual")
        return cls(index, schema)

    @classmethod
    def open(cls, path: Path) -> LexicalIndex:
        """The index at a path, which may be read-only.

        Raises:
            LexicalUnusable: there is none, it is damaged, or another version made it.
        """
        schema = _schema()
        with _as_store_errors(f"cannot open the word index at {path}"):
            if not tantivy.Index.exists(str(path)):
                raise LexicalUnusable(f"there is no word index at {path}", "it is made again from the catalogue")
            index = tantivy.Index(schema, path=str(path))
            index.config_reader(reload_policy="manual")
            return cls(index, schema)

    def __len__(self) -> int:
        """The number of chunks."""
        return max(0, self._searcher.num_docs - 1)  # the marker is a document too

    @property
    def generation(self) -> int:
        """The generation of the catalogue that this snapshot reflects; 0 when nothing was ever written."""
        searcher = self._searcher
        with _as_store_errors("cannot read the word index"):
            query = self._number(_MARKER, 1)
            addresses = [address for _, address in searcher.search(query, 1, count=False).hits]
            if not addresses:
                return 0
            (value,) = searcher.fast_field_values("generation", addresses)
            return int(value or 0)

    def reload(self) -> None:
        """Shows what was committed since, by another process too."""
        with _as_store_errors("cannot read the word index"):
            self._index.reload()
            self._searcher = self._index.searcher()

    def update(self, *, add: Iterable[tuple[int, int, str]], remove_documents: Iterable[int], generation: int) -> None:
        """Removes documents, then adds chunks, in one commit that carries the generation.

        Args:
            add: (chunk id, document id, text) of each new chunk; the text with its title and headings.
            remove_documents: document ids whose chunks go; ids that are not there are passed over.
            generation: of the catalogue, once this is in.
        """
        with _as_store_errors("cannot write the word index"):
            writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        try:
            for document in remove_documents:
                writer.delete_documents_by_query(self._number("document", document))
            for chunk, document, text in add:
                writer.add_document(_document({"chunk": chunk, "document": document}, text))
            with _as_store_errors("cannot write the word index"):
                writer.delete_documents_by_query(self._number(_MARKER, 1))
                writer.add_document(_document({_MARKER: 1, "generation": generation}))
                writer.commit()
        except BaseException:
            writer.rollback()
            raise
        finally:
            writer.wait_merging_threads()
        self.reload()

    def search(self, query: str, k: int, documents: Collection[int] | None = None) -> list[tuple[int, float]]:
        """The k best (chunk id, score), best first, of the given documents where some are given.

        Chunks that share nothing with the query are not returned.
        """
        searcher = self._searcher
        wanted = self._query(searcher, query)
        if wanted is None or k <= 0 or (documents is not None and not documents):
            return []
        if documents is not None:
            wanted = self._within(wanted, "document", documents)
        return self._run(searcher, wanted, k)

    def score(self, query: str, chunk_ids: Sequence[int]) -> dict[int, float]:
        """The score that `search` gives each of these chunks, 0.0 where nothing matches."""
        searcher = self._searcher
        scores = dict.fromkeys(chunk_ids, 0.0)
        wanted = self._query(searcher, query)
        if wanted is not None and scores:
            scores.update(self._run(searcher, self._within(wanted, "chunk", scores), len(scores)))
        return scores

    def idf(self, terms: Iterable[str]) -> dict[str, float]:
        """ln(1 + (N - n + ½) / (n + ½)) of each term of `words.terms`, where n of N chunks hold it."""
        searcher = self._searcher
        return {term: _idf(searcher, "terms", term) for term in terms}

    def close(self) -> None:
        """Lets go of the files."""
        self._searcher = tantivy.Index(self._schema).searcher()

    def _run(self, searcher: tantivy.Searcher, query: tantivy.Query, k: int) -> list[tuple[int, float]]:
        with _as_store_errors("cannot read the word index"):
            # Without the count tantivy skips blocks that cannot reach the top.
            hits = searcher.search(query, min(k, max(1, searcher.num_docs)), count=False).hits
            chunks = searcher.fast_field_values("chunk", [address for _, address in hits])
        found = [(int(chunk or 0), float(score)) for chunk, (score, _) in zip(chunks, hits, strict=True)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def _query(self, searcher: tantivy.Searcher, text: str) -> tantivy.Query | None:
        weights = _weights(text)
        if len(weights) > _MOST_CLAUSES:
            rarest = sorted(weights, key=lambda term: (-_idf(searcher, *term), term))[:_MOST_CLAUSES]
            weights = {term: weights[term] for term in rarest}
        clauses = [
            tantivy.Query.boost_query(tantivy.Query.term_query(self._schema, field, term, "freq"), weight)
            for (field, term), weight in weights.items()
        ]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses]) if clauses else None

    def _number(self, field: str, value: int) -> tantivy.Query:
        """What finds a number. Deletion by term takes it for signed and deletes nothing."""
        return tantivy.Query.term_query(self._schema, field, value)

    def _within(self, query: tantivy.Query, field: str, ids: Collection[int]) -> tantivy.Query:
        inside = tantivy.Query.term_set_query(self._schema, field, list(ids))
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, query), (tantivy.Occur.Must, tantivy.Query.const_score_query(inside, 0.0))]
        )


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in words.Fields._fields:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    for name in ("chunk", "document", _MARKER):
        builder.add_unsigned_field(name, indexed=True, fast=True)
    builder.add_unsigned_field("generation", fast=True)
    return builder.build()


def _document(numbers: dict[str, int], text: str = "") -> tantivy.Document:
    document = tantivy.Document(**words.fields(text)._asdict())
    for name, number in numbers.items():  # as keywords they would be taken for signed, and kill the writer's thread
        document.add_unsigned(name, number)
    return document


def _weights(text: str) -> dict[tuple[str, str], float]:
    """What to look for: (field, term) -> weight. Stop words only where there is nothing else."""
    found = words.fields(text)
    weighted = [
        ("terms", found.terms, 1.0),
        ("grams", found.grams, GRAM_WEIGHT),
        ("pairs", found.pairs, PAIR_WEIGHT),
        # Words of one script are looked for among the sounds of the other.
        ("latin", found.cyrillic, SOUND_WEIGHT),
        ("cyrillic", found.latin, SOUND_WEIGHT),
    ]
    if not found.terms.strip():
        weighted = [("stops", found.stops, 1.0), ("pairs", found.pairs, PAIR_WEIGHT)]
    weights: dict[tuple[str, str], float] = {}
    for field, joined, weight in weighted:
        for term, count in Counter(joined.split()).items():
            weights[field, term] = weight * count
    return weights


def _idf(searcher: tantivy.Searcher, field: str, term: str) -> float:
    with _as_store_errors("cannot read the word index"):
        n = searcher.doc_freq(field, term)
    total = max(n, searcher.num_docs - 1)
    return math.log(1 + (total - n + 0.5) / (n + 0.5))


@contextmanager
def _as_store_errors(message: str) -> Iterator[None]:
    """tantivy's errors as ours. It is Rust: on damaged bytes it can also panic, which no Exception covers."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise LexicalUnusable(f"{message}: {error}", "it is made again from the catalogue") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise LexicalUnusable(f"{message}: {error}", "it is made again from the catalogue") from error
