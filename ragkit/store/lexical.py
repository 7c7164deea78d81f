"""The word index: BM25 over stems, 4-grams, pairs of words and sounds, kept by tantivy, which only this file imports.

A cache: whatever it holds can be made again from the catalog, so anything wrong with it is answered by deleting
and rebuilding. It knows chunks by number only.

A chunk's score is its own plus a share of its section's, which is up to eight chunks of one document read as one
text: what a question asks is often said in two places. Cut into chunks, articles of three sets of thirteen rank .005
to .017 of nDCG@10 lower than whole; sections give most of that back and are a fifth of the index.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from ragkit import words
from ragkit.errors import StoreError

# In the name of a field, so that an index made by another version of this file or of `words` does not open.
_MARKER = "marker_v4"
GRAM_WEIGHT = 0.28  # of a 4-gram beside a stem; one value for all languages, 0.2 to 0.3 are alike
PAIR_WEIGHT = 0.3  # of two neighbouring words
SOUND_WEIGHT = 0.6  # of a 4-gram of sounds met in the other script; costs nothing where query and text share one
SECTION_WEIGHT = 0.8  # of a section beside a chunk; at 1 answers in long articles lose .02 to their neighbours
SECTION_CHUNKS = 8  # at most, about 5 000 characters; 4 gain a little less, 16 a little more

_CHUNK_FIELDS = words.Fields._fields
_SECTION_FIELDS = ("terms", "grams")  # pairs would gain nothing here, and be a quarter of the index
_HEAP = 32_000_000  # bytes for each of the two writers; tantivy's least is 15 MB
_MOST_CLAUSES = 400  # distinct terms of one query; the rest are the commonest, which say least
_CURE = "it is made again from the catalog when the index is next used"

_Weights = dict[tuple[str, str], float]  # (field, term) -> weight


class LexicalUnusable(StoreError):
    """The word index is missing, damaged or of another version: make it again with `LexicalIndex.create`."""

    code = "index_corrupt"


class LexicalIndex:
    """One snapshot for reading, replaced by `update` and `reload`. Safe to share between threads."""

    def __init__(self, chunks: _Part, sections: _Part) -> None:
        self._chunks = chunks
        self._sections = sections

    @classmethod
    def create(cls, path: Path | None) -> LexicalIndex:
        """An empty index, in memory where there is no path; what stood at the path is deleted."""
        if path is not None and path.exists():
            shutil.rmtree(path)
        return cls(
            _Part(path and path / "chunks", _CHUNK_FIELDS, new=True),
            _Part(path and path / "sections", _SECTION_FIELDS, new=True),
        )

    @classmethod
    def open(cls, path: Path) -> LexicalIndex:
        """The index at a path, which may be read-only.

        Raises:
            LexicalUnusable: there is none, it is damaged, or another version made it.
        """
        return cls(
            _Part(path / "chunks", _CHUNK_FIELDS, new=False), _Part(path / "sections", _SECTION_FIELDS, new=False)
        )

    def __len__(self) -> int:
        """The number of chunks."""
        return max(0, self._chunks.searcher.num_docs - 1)  # the marker is a document too

    @property
    def generation(self) -> int:
        """The generation of the catalog that this snapshot reflects; 0 when nothing was ever written.

        Between the two commits of an update it is the older one: the same update, done again, completes it.
        """
        return min(self._chunks.generation(), self._sections.generation())

    @property
    def settled(self) -> bool:
        """Whether both parts reflect that generation; between the two commits of an update they do not."""
        return self._chunks.generation() == self._sections.generation()

    def reload(self) -> None:
        """Show what was committed since, by another process too."""
        self._sections.reload()
        self._chunks.reload()

    def update(self, *, add: Iterable[tuple[int, int, str]], remove_documents: Iterable[int], generation: int) -> None:
        """Remove documents, then add chunks. Repeating an update changes nothing.

        Args:
            add: (chunk id, document id, text) of each new chunk; the text with its title and headings, the
                chunks of a document together and in its order. Chunks that a document had before go.
            remove_documents: document ids whose chunks go; ids that are not there are passed over.
            generation: of the catalog, once this is in.
        """
        with self._sections.writing(generation) as sections, self._chunks.writing(generation) as chunks:
            for document in remove_documents:
                sections.remove(document)
                chunks.remove(document)
            section = _Section(0, 0)
            seen: set[int] = set()
            for chunk, document, text in add:
                if document != section.document or len(section.fields) == SECTION_CHUNKS:
                    section.write(sections)
                    section = _Section(chunk, document)
                if document not in seen:
                    seen.add(document)
                    sections.remove(document)
                    chunks.remove(document)
                found = words.fields(text)
                section.fields.append(found)
                numbers = {"chunk": chunk, "document": document, "section": section.id}
                chunks.add(numbers, found._asdict())
            section.write(sections)
        self.reload()

    def search(self, query: str, k: int, documents: Collection[int] | None = None) -> list[tuple[int, float]]:
        """The k best (chunk id, score), best first, of the given documents where some are given.

        Exact: chunks that share nothing with the query are not returned, all others compete.
        """
        if k <= 0 or (documents is not None and not documents):
            return []
        chunks, sections = (
            self._chunks.snapshot(_chunk_weights(query)),
            self._sections.snapshot(_section_weights(query)),
        )
        wanted = 2 * k
        while True:
            best_chunks = chunks.best(wanted, documents)
            best_sections = sections.best(max(4, wanted // 4), documents)
            section_scores = {section: score for _, section, score in best_sections}
            found = {chunk: (section, score) for chunk, section, score in best_chunks}
            complete = len(best_chunks) < wanted
            if not complete and section_scores:
                inside = chunks.within("section", section_scores, len(section_scores) * SECTION_CHUNKS)
                found.update({chunk: (section, score) for chunk, section, score in inside})
            missing = {section for section, _ in found.values()} - section_scores.keys()
            section_scores.update({at: score for _, at, score in sections.within("section", missing, len(missing))})
            total = {
                chunk: score + SECTION_WEIGHT * section_scores.get(section, 0.0)
                for chunk, (section, score) in found.items()
            }
            ranked = sorted(total.items(), key=lambda hit: (-hit[1], hit[0]))[:k]
            if complete:
                return ranked
            # What was not looked at is worse than the last of both lists.
            limit = best_chunks[-1][2] + SECTION_WEIGHT * (best_sections[-1][2] if best_sections else 0.0)
            if len(ranked) == k and ranked[-1][1] >= limit:
                return ranked
            wanted *= 4

    def score(self, query: str, chunk_ids: Sequence[int]) -> dict[int, float]:
        """The score that `search` gives each of these chunks, 0.0 where nothing matches."""
        chunks, sections = (
            self._chunks.snapshot(_chunk_weights(query)),
            self._sections.snapshot(_section_weights(query)),
        )
        scores = dict.fromkeys(chunk_ids, 0.0)
        found = chunks.within("chunk", scores, len(scores))
        around = {section for _, section, _ in found}
        of_section = {section: score for _, section, score in sections.within("section", around, len(around))}
        scores.update({chunk: score + SECTION_WEIGHT * of_section.get(section, 0.0) for chunk, section, score in found})
        return scores

    def idf(self, terms: Iterable[str]) -> dict[str, float]:
        """ln(1 + (N - n + ½) / (n + ½)) of each term of `words.terms`, where n of N chunks hold it."""
        searcher = self._chunks.searcher
        with _as_store_errors("cannot read the word index"):
            return {term: _idf(searcher, "terms", term) for term in terms}

    def close(self) -> None:
        """Let go of the files."""
        self._chunks, self._sections = (_Part(None, part.fields, new=True) for part in (self._chunks, self._sections))


class _Section:
    """Chunks of one document that are read as one text; its id is that of its first chunk."""

    def __init__(self, id: int, document: int) -> None:
        self.id = id
        self.document = document
        self.fields: list[words.Fields] = []

    def write(self, writer: _Writer) -> None:
        if self.fields:
            texts = {name: " ".join([getattr(found, name) for found in self.fields]) for name in _SECTION_FIELDS}
            writer.add({"section": self.id, "document": self.document}, texts)


class _Writer:
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


class _Part:
    """One tantivy index, of chunks or of sections: they have lengths and frequencies of their own."""

    def __init__(self, path: Path | None, fields: Sequence[str], *, new: bool) -> None:
        self.fields = fields
        self._schema = _schema(fields)
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

    def reload(self) -> None:
        with _as_store_errors("cannot read the word index"):
            if self._mirror:
                self._mirror.renew()
            self._index.reload()
            self.searcher = self._index.searcher()

    def generation(self) -> int:
        searcher = self.searcher
        with _as_store_errors("cannot read the word index"):
            marker = tantivy.Query.term_query(self._schema, _MARKER, 1)
            addresses = [address for _, address in searcher.search(marker, 1, count=False).hits]
            return int(searcher.fast_field_values("generation", addresses)[0] or 0) if addresses else 0

    @contextmanager
    def writing(self, generation: int) -> Iterator[_Writer]:
        """One commit, with the marker of the generation in it; nothing is kept when the block raises."""
        with _as_store_errors("cannot write the word index"):
            writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        try:
            change = _Writer(writer, self._schema)
            yield change
            change.remove_number(_MARKER, 1)
            change.add({_MARKER: 1, "generation": generation}, {})
            with _as_store_errors("cannot write the word index"):
                writer.commit()
        except BaseException:
            writer.rollback()
            raise
        finally:
            writer.wait_merging_threads()

    def snapshot(self, weights: _Weights) -> _Asked:
        return _Asked(self.searcher, self._schema, weights)


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


class _Asked:
    """One query to one part, always over the same snapshot. A row is (chunk id, section id, score)."""

    def __init__(self, searcher: tantivy.Searcher, schema: tantivy.Schema, weights: _Weights) -> None:
        self._searcher = searcher
        self._schema = schema
        with _as_store_errors("cannot read the word index"):
            if len(weights) > _MOST_CLAUSES:
                rarest = sorted(weights, key=lambda term: (-_idf(searcher, *term), term))[:_MOST_CLAUSES]
                weights = {term: weights[term] for term in rarest}
            clauses = [
                tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term, "freq"), weight)
                for (field, term), weight in weights.items()
            ]
            self._query = tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])

    def best(self, k: int, documents: Collection[int] | None) -> list[tuple[int, int, float]]:
        return self._run(self._query, k) if documents is None else self.within("document", documents, k)

    def within(self, field: str, ids: Collection[int], k: int) -> list[tuple[int, int, float]]:
        if not ids:
            return []
        inside = tantivy.Query.const_score_query(tantivy.Query.term_set_query(self._schema, field, list(ids)), 0.0)
        both = [(tantivy.Occur.Must, self._query), (tantivy.Occur.Must, inside)]
        return self._run(tantivy.Query.boolean_query(both), k)

    def _run(self, query: tantivy.Query, k: int) -> list[tuple[int, int, float]]:
        searcher = self._searcher
        with _as_store_errors("cannot read the word index"):
            # Without the count tantivy skips blocks that cannot reach the top.
            hits = searcher.search(query, max(1, min(k, searcher.num_docs)), count=False).hits
            addresses = [address for _, address in hits]
            chunks = searcher.fast_field_values("chunk", addresses)
            sections = searcher.fast_field_values("section", addresses)
        return [
            (int(chunk or 0), int(section or 0), float(score))
            for chunk, section, (score, _) in zip(chunks, sections, hits, strict=True)
        ]


def _schema(fields: Iterable[str]) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in fields:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    for name in ("chunk", "document", "section", _MARKER):
        builder.add_unsigned_field(name, indexed=True, fast=True)
    builder.add_unsigned_field("generation", fast=True)
    return builder.build()


def _document(numbers: Mapping[str, int], texts: Mapping[str, str]) -> tantivy.Document:
    document = tantivy.Document(**texts)
    for name, number in numbers.items():  # as keywords they would be taken for signed, and kill the writer's thread
        document.add_unsigned(name, number)
    return document


def _chunk_weights(text: str) -> _Weights:
    """What to look for in chunks; stop words only where there is nothing else."""
    found = words.fields(text)
    pairs = ("pairs", found.pairs, PAIR_WEIGHT)
    if not found.terms.strip():
        return _weights((("stops", found.stops, 1.0), pairs))
    # Words of one script are looked for among the sounds of the other.
    sounds = ("latin", found.cyrillic, SOUND_WEIGHT), ("cyrillic", found.latin, SOUND_WEIGHT)
    return {**_section_weights(text), **_weights((pairs, *sounds))}


def _section_weights(text: str) -> _Weights:
    found = words.fields(text)
    return _weights((("terms", found.terms, 1.0), ("grams", found.grams, GRAM_WEIGHT)))


def _weights(fields: Iterable[tuple[str, str, float]]) -> _Weights:
    """A term counts as often as the query says it."""
    return {
        (field, term): weight * count
        for field, joined, weight in fields
        for term, count in Counter(joined.split()).items()
    }


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
