"""One inverted index, kept by tantivy, which only this file imports: guarded, since tantivy is not always what it says.

It knows terms in named fields and numbers, and nothing of languages, chunks' texts or the catalog.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import tantivy

from ragkit.errors import StoreError
from ragkit.store import depth

# In the name of a field, so that an index made by another version of the analyser does not open.
_MARKER = "marker_v6"
_HEAP = 64_000_000  # bytes for each writer, which it takes as it needs them: fewer and larger segments are smaller ones
_MOST_CLAUSES = 400  # distinct terms of one query; the rest are the commonest, which say least
# Documents are looked for among the best of all, at .5 us for each that is looked at, before they are named.
_LOOKED_THROUGH = 4
# Ids are named one by one where they are not more than one in so many, at 4 us each: for a set of them tantivy reads
# most of what it has of all ids, at .08 us each.
_NAMED = 24
_NESTED = 128  # terms: of up to so many each is looked up for itself; of more there would be too many levels
_SOUGHT = 2000  # documents: up to so many are looked up in each term's list; of more, the lists are gone through
_ALIKE = 1.00001  # times a score: sums of the same numbers in another order differ by less
_COUNTED = 100  # documents: up to so many that hold a term are counted one by one
_CURE = "it is made again from the catalog when the index is next used"

Row = tuple[int, int, float]  # chunk id, section id, score
Weights = Mapping[tuple[str, str], float]  # (field, term) -> weight
Clauses = list[tuple[tantivy.Occur, tantivy.Query]]
_Found = TypeVar("_Found", list[Row], list[Row] | None)
Among = Callable[[Collection[int]], Collection[int]]  # of some documents those that a search may return


class LexicalUnusable(StoreError):
    """The word index is missing, damaged or of another version: make it again with `LexicalIndex.create`."""

    code = "index_corrupt"


class Change:
    """An uncommitted change of one part."""

    def __init__(self, writer: tantivy.IndexWriter, schema: tantivy.Schema) -> None:
        self._writer = writer
        self._schema = schema

    def add(self, numbers: Mapping[str, int], texts: Mapping[str, str]) -> None:
        with _as_store_errors("cannot write the word index"):
            self._writer.add_document(_document(numbers, texts))

    def remove(self, document: int) -> None:
        self.remove_number("document", document)

    def remove_number(self, field: str, value: int) -> None:
        with _as_store_errors("cannot write the word index"):
            # Deletion by term takes the number for signed, and deletes nothing.
            self._writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, field, value))


class InvertedIndex:
    """Documents of terms with their numbers; `fields` says of each whether it counts how often a term stands there.

    What stands in the field `stored` can be read again.
    """

    def __init__(self, path: Path | None, fields: Mapping[str, bool], *, new: bool, stored: str = "") -> None:
        self.fields = fields
        self._stored = stored
        self._schema = _schema(fields, stored)
        self._mirror: _Mirror | None = None
        with _as_store_errors(f"cannot open the word index at {path}"):
            if path is None:
                self._index = tantivy.Index(self._schema)
            else:
                if new:
                    path.mkdir(mode=0o700, parents=True)
                elif not path.is_dir() or not tantivy.Index.exists(str(path)):
                    raise LexicalUnusable(f"there is no word index at {path}", _CURE)
                self._mirror = None if os.access(path, os.W_OK) else _Mirror(path)
                self._index = tantivy.Index(self._schema, path=str(self._mirror.path if self._mirror else path))
            self._index.config_reader(reload_policy="manual")
            self.searcher = self._index.searcher()
        self._generation: int | None = None

    def __len__(self) -> int:
        return max(0, self.searcher.num_docs - 1)  # the marker is a document too

    def frequency(self, field: str, term: str) -> int:
        """The number of documents that hold a term, those among them that are deleted and not merged away yet."""
        with _as_store_errors("cannot read the word index"):
            return self.searcher.doc_freq(field, term)

    def living(self, field: str, term: str) -> int:
        """The same, of few without those that are deleted."""
        n = self.frequency(field, term)
        if not 0 < n <= _COUNTED:
            return n
        query = tantivy.Query.term_query(self._schema, field, term, _option(self.fields[field]))
        with _as_store_errors("cannot read the word index"):
            return len(self.searcher.search(query, n, count=False).hits)

    def idf(self, field: str, term: str) -> float:
        with _as_store_errors("cannot read the word index"):
            return _idf(self.searcher, field, term)

    def reload(self) -> None:
        with _as_store_errors("cannot read the word index"):
            if self._mirror:
                self._mirror.renew()
            self._index.reload()
            self.searcher = self._index.searcher()
        self._generation = None

    def generation(self) -> int:
        """That of the last commit that this snapshot holds; 0 before the first."""
        if self._generation is None:
            self._generation = self._read_generation()
        return self._generation

    def _read_generation(self) -> int:
        searcher = self.searcher
        with _as_store_errors("cannot read the word index"):
            marker = tantivy.Query.term_query(self._schema, _MARKER, 1)
            addresses = [address for _, address in searcher.search(marker, 1, count=False).hits]
            return int(searcher.fast_field_values("generation", addresses)[0] or 0) if addresses else 0

    @contextmanager
    def writing(self, generation: int) -> Iterator[Change]:
        """One commit, with the marker of the generation in it; nothing is kept when the block raises."""
        with _as_store_errors("cannot write the word index"):
            writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        try:
            change = Change(writer, self._schema)
            yield change
            change.remove_number(_MARKER, 1)
            change.add({_MARKER: 1, "generation": generation}, {})
            with _as_store_errors("cannot write the word index"):
                writer.commit()
        except BaseException:
            for end in (writer.rollback, writer.wait_merging_threads):
                with suppress(LexicalUnusable), _as_store_errors("cannot write the word index"):  # the first says more
                    end()
            raise
        with _as_store_errors("cannot write the word index"):
            writer.wait_merging_threads()

    def stored(self, weights: Weights, most: int) -> list[str]:
        """The stored texts of the documents that fit best, best first: at most so many.

        Of those that fit as well as the first that is too many none: which of them came first is chance.
        """
        hits = self.asked(weights).hits(most + 1)
        least = hits[most][0] * _ALIKE if len(hits) > most else 0.0
        with _as_store_errors("cannot read the word index"):
            return [self.searcher.doc(address)[self._stored][0] for score, address in hits if score > least]

    def asked(self, weights: Weights, best_of: Sequence[Weights] = (), choosing: Weights | None = None) -> Asked:
        """A query over what the index holds now."""
        return Asked(self.searcher, self._schema, self.fields, weights, best_of, choosing)


def dead_share(path: Path) -> tuple[int, int]:
    """How many documents were removed and still take space in the index at `path`, and of how many in all.

    tantivy drops them when it merges segments, which it does for no other reason than that there are many.
    """
    with _as_store_errors("cannot read the word index"):
        segments = json.loads((path / "meta.json").read_text("utf-8"))["segments"]
        dead = [int(segment["deletes"]["num_deleted_docs"]) for segment in segments if segment["deletes"]]
        return sum(dead), sum(int(segment["max_doc"]) for segment in segments)


class _Mirror:
    """Links to the files of a folder that cannot be written: tantivy locks by making a file, even to read."""

    def __init__(self, path: Path) -> None:
        import tempfile  # rarely needed, and slow to import

        self._original = path
        self._folder = tempfile.TemporaryDirectory(prefix="ragkit-")
        self.path = Path(self._folder.name)
        self.renew()

    def renew(self) -> None:
        """Link what came since; the list of files is replaced under its name, so its link stays good."""
        for file in self._original.iterdir():
            link = self.path / file.name
            if file.suffix != ".lock" and not link.is_symlink():
                link.symlink_to(file.resolve())


class Asked:
    """One query to one part, always over the same snapshot.

    A score is what all of `weights` and the best of each of `best_of` give. `choosing` are the terms that `best` goes
    by.
    """

    def __init__(
        self,
        searcher: tantivy.Searcher,
        schema: tantivy.Schema,
        fields: Mapping[str, bool],
        weights: Weights,
        best_of: Sequence[Weights] = (),
        choosing: Weights | None = None,
    ) -> None:
        self._searcher = searcher
        self._schema = schema
        self._fields = fields
        with _as_store_errors("cannot read the word index"):
            self._clauses = self._as_clauses(weights)
            for alternatives in best_of:
                query = tantivy.Query.disjunction_max_query([query for _, query in self._as_clauses(alternatives)])
                self._clauses.append((tantivy.Occur.Should, query))
            self._chooses_by_all = choosing is None or (not best_of and choosing == weights)
            self._choosing = self._clauses if choosing is None else self._as_clauses(choosing)

    def best(self, k: int, documents: Collection[int] | None) -> list[Row]:
        """The k best by the terms that choose, of the given documents where some are given, with their scores.

        By all terms where those find fewer, and in few documents: there it takes no longer.
        """
        if documents is not None and len(documents) <= _SOUGHT:
            return self._inside("document", documents, self._clauses, k)
        return self._chosen(lambda clauses: self._best(clauses, k, documents), k)

    def best_among(self, k: int, among: Among, most: int) -> list[Row] | None:
        """The same of the documents that `among` leaves; None where the `most` best of all do not hold so many."""
        return self._chosen(lambda clauses: self._among_the_best(clauses, k, among, most), k)

    def _chosen(self, find: Callable[[Clauses], _Found], k: int) -> _Found | list[Row]:
        found = find(self._choosing)
        if found is None or self._chooses_by_all:
            return found
        if len(found) < k:
            return find(self._clauses)
        return self.within("chunk", [id for id, _, _ in found])

    def _best(self, clauses: Clauses, k: int, documents: Collection[int] | None) -> list[Row]:
        if documents is None:
            return self._rows(self._hits(tantivy.Query.boolean_query(clauses), k))
        found = self._among_the_best(clauses, k, frozenset(documents).intersection, _LOOKED_THROUGH * len(documents))
        return self._inside("document", documents, clauses, k) if found is None else found

    def _among_the_best(self, clauses: Clauses, k: int, among: Among, most: int) -> list[Row] | None:
        """The k best of these documents, sought among as many of all as the share of the first ones tells."""
        query = tantivy.Query.boolean_query(clauses)
        n = depth.first(k)
        while n <= most:
            hits = self._hits(query, n)
            with _as_store_errors("cannot read the word index"):
                numbers = self._searcher.fast_field_values("document", [address for _, address in hits])
            held = [int(number or 0) for number in numbers]
            wanted = among(set(held))
            inside = [hit for hit, document in zip(hits, held, strict=True) if document in wanted]
            if len(inside) >= k or len(hits) < n:
                return self._rows(inside[:k])
            n = depth.next_after(n, k, len(inside))
        return None

    def within(self, field: str, ids: Collection[int]) -> list[Row]:
        """Those whose `field` is one of the ids; what shares nothing with the query is none of them.

        No more than one for each id.
        """
        return self._inside(field, ids, self._clauses, len(ids))

    def _inside(self, field: str, ids: Collection[int], clauses: Clauses, k: int) -> list[Row]:
        if not ids:
            return []
        with _as_store_errors("cannot read the word index"):
            few = len(ids) <= _SOUGHT and len(clauses) <= _NESTED
            wanted = [(tantivy.Occur.Should, _one_by_one(clauses))] if few else clauses
            # Not as two that must hold: then tantivy goes through all that the terms have, wherever the ids lie.
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, self._one_of(field, ids)), *wanted])
        return self._rows([hit for hit in self._hits(query, k) if hit[0] > 0])

    def _one_of(self, field: str, ids: Collection[int]) -> tantivy.Query:
        if len(ids) * _NAMED <= self._searcher.num_docs:
            each = [
                (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, field, id, "basic")) for id in sorted(ids)
            ]
            # In groups: of thousands side by side each would be asked for what is next, over and over.
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Should, tantivy.Query.boolean_query(group)) for group in _groups(each)]
            )
        else:
            query = tantivy.Query.term_set_query(self._schema, field, list(ids))
        return tantivy.Query.const_score_query(query, 0.0)

    def _as_clauses(self, weights: Weights) -> Clauses:
        if len(weights) > _MOST_CLAUSES:
            rarest = sorted(weights, key=lambda term: (-_idf(self._searcher, *term), term))[:_MOST_CLAUSES]
            weights = {term: weights[term] for term in rarest}
        return [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(
                    tantivy.Query.term_query(self._schema, field, term, _option(self._fields[field])), weight
                ),
            )
            for (field, term), weight in weights.items()
        ]

    def hits(self, k: int) -> list[tuple[float, tantivy.DocAddress]]:
        """Scores and places of the k best, best first."""
        return self._hits(tantivy.Query.boolean_query(self._clauses), k)

    def _hits(self, query: tantivy.Query, k: int) -> list[tuple[float, tantivy.DocAddress]]:
        searcher = self._searcher
        with _as_store_errors("cannot read the word index"):
            # Without the count tantivy skips blocks that cannot reach the top.
            hits: list[tuple[float, tantivy.DocAddress]] = searcher.search(
                query, max(1, min(k, searcher.num_docs)), count=False
            ).hits
            return hits

    def _rows(self, hits: Sequence[tuple[float, tantivy.DocAddress]]) -> list[Row]:
        addresses = [address for _, address in hits]
        with _as_store_errors("cannot read the word index"):
            chunks = self._searcher.fast_field_values("chunk", addresses)
            sections = self._searcher.fast_field_values("section", addresses)
        return [
            (int(chunk or 0), int(section or 0), float(score))
            for chunk, section, (score, _) in zip(chunks, sections, hits, strict=True)
        ]


def _one_by_one(clauses: Clauses) -> tantivy.Query:
    """The clauses one inside the other: each term is looked up at the documents that are asked for, and nowhere else.

    Beside each other tantivy would go through thousands of documents around every one of those. In groups, since each
    level takes 8 kB of a thread's stack, which may have no more than 256 kB, and copies what is inside.
    """
    return _nested([(tantivy.Occur.Should, _nested(group)) for group in _groups(clauses)])


def _groups(clauses: Clauses) -> list[Clauses]:
    """As many as there are in each."""
    size = math.isqrt(len(clauses)) + 1
    return [clauses[start : start + size] for start in range(0, len(clauses), size)]


def _nested(clauses: Clauses) -> tantivy.Query:
    whole = tantivy.Query.const_score_query(tantivy.Query.all_query(), 0.0)
    for clause in clauses:
        whole = tantivy.Query.boolean_query([(tantivy.Occur.Must, whole), clause])
    return whole


def _schema(fields: Mapping[str, bool], stored: str) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name, counted in fields.items():
        builder.add_text_field(name, stored=name == stored, tokenizer_name="whitespace", index_option=_option(counted))
    for name in ("chunk", "document", "section", _MARKER):
        builder.add_unsigned_field(name, indexed=True, fast=True)
    builder.add_unsigned_field("generation", fast=True)
    return builder.build()


def _option(counted: bool) -> str:
    return "freq" if counted else "basic"


def _document(numbers: Mapping[str, int], texts: Mapping[str, str]) -> tantivy.Document:
    document = tantivy.Document(**texts)
    for name, number in numbers.items():  # as keywords they would be taken for signed, and kill the writer's thread
        document.add_unsigned(name, number)
    return document


def _idf(searcher: tantivy.Searcher, field: str, term: str) -> float:
    n = searcher.doc_freq(field, term)
    total = max(n, searcher.num_docs - 1)
    return math.log(1 + (total - n + 0.5) / (n + 0.5))


@contextmanager
def _as_store_errors(message: str) -> Iterator[None]:
    """Raise tantivy's errors as ours. It is Rust: on damaged bytes it can also panic, which no Exception covers."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise LexicalUnusable(f"{message}: {error}", _CURE) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise LexicalUnusable(f"{message}: {error}", _CURE) from error
