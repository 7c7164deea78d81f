"""The word index: BM25 over stems, pairs of words and 4-grams, in inverted indexes of chunks, sections and words.

A cache: whatever it holds can be made again from the catalog, so anything wrong with it is answered by deleting
and rebuilding. It knows chunks by number only.

A chunk's score is that of its words, and of the 4-grams of its section, which is up to eight chunks of one document
read as one text: what a question asks is often said in two places, and in other forms of its words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ragkit import words
from ragkit.store import vocabulary, weights
from ragkit.store.inverted import Among, Asked, Change, InvertedIndex, LexicalUnusable, Row, dead_share
from ragkit.store.vocabulary import Vocabulary

__all__ = ["SECTION_CHUNKS", "LexicalIndex", "LexicalUnusable"]

SECTION_CHUNKS = 8  # at most, about 5 000 characters; 4 gain a little less, 16 a little more
_CHOSEN = 2  # times as many as are wanted are chosen by words, and then put in order
_LEAST_CHOSEN = 200  # of 13 sets none ranks better with more
_LOOKED_THROUGH = 64  # times as many, for documents that are tested one by one

# Each with whether it counts how often a term stands in a text: of pairs it says nothing.
_CHUNK_FIELDS = {"terms": True, "pairs": False, "stops": True}
_SECTION_FIELDS = {"grams": True}


class LexicalIndex:
    """One snapshot for reading, replaced by `update` and `reload`. Safe to share between threads."""

    def __init__(self, chunks: InvertedIndex, sections: InvertedIndex, known: Vocabulary) -> None:
        self._chunks = chunks
        self._sections = sections
        self._vocabulary = known
        self._last: tuple[str, Asked, Asked] | None = None

    @classmethod
    def create(cls, path: Path | None) -> LexicalIndex:
        """An empty index, in memory where there is no path; what stood at the path is deleted."""
        if path is not None:
            import shutil  # no search needs it

            shutil.rmtree(path, ignore_errors=True)
            try:
                path.parent.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise LexicalUnusable(f"cannot make the word index: {error}", "make room or mend the disk") from error
        return cls._of(path, new=True)

    @staticmethod
    def dead_share(path: Path) -> tuple[int, int]:
        """How many chunks are gone and still take space, and of how many in all."""
        return dead_share(path / "chunks")

    @classmethod
    def open(cls, path: Path) -> LexicalIndex:
        """The index at a path, which may be read-only.

        Raises:
            LexicalUnusable: there is none, it is damaged, or another version made it.
        """
        return cls._of(path, new=False)

    @classmethod
    def _of(cls, path: Path | None, *, new: bool) -> LexicalIndex:
        known = InvertedIndex(path and path / "words", vocabulary.FIELDS, new=new, stored=vocabulary.STORED)
        return cls(
            InvertedIndex(path and path / "chunks", _CHUNK_FIELDS, new=new),
            InvertedIndex(path and path / "sections", _SECTION_FIELDS, new=new),
            Vocabulary(known),
        )

    def __len__(self) -> int:
        """The number of chunks."""
        return len(self._chunks)

    @property
    def generation(self) -> int:
        """The generation of the catalog that this snapshot reflects; 0 when nothing was ever written.

        Between the commits of an update it is the older one: the same update, done again, completes it. Words are
        learnt before, and only when there are new ones.
        """
        return min(self._chunks.generation(), self._sections.generation())

    @property
    def generations(self) -> dict[str, int]:
        """Of the last commit of each part, by the name of its folder."""
        return {
            "chunks": self._chunks.generation(),
            "sections": self._sections.generation(),
            "words": self._vocabulary.index.generation(),
        }

    @property
    def settled(self) -> bool:
        """Whether chunks and sections reflect that generation; between the commits of an update they do not."""
        return self._chunks.generation() == self._sections.generation()

    def reload(self) -> None:
        """Show what was committed since, by another process too."""
        self._vocabulary.index.reload()
        self._sections.reload()
        self._chunks.reload()
        self._last = None

    def update(self, *, add: Iterable[tuple[int, int, str]], remove_documents: Iterable[int], generation: int) -> None:
        """Remove documents, then add chunks. Repeating an update changes nothing.

        Args:
            add: (chunk id, document id, text) of each new chunk; the text with its title and headings, the
                chunks of a document together and in its order. Chunks that a document had before go.
            remove_documents: document ids whose chunks go; ids that are not there are passed over.
            generation: of the catalog, once this is in.
        """
        with (
            self._sections.writing(generation) as sections,
            self._chunks.writing(generation) as chunks,
            self._vocabulary.learning(generation) as learn,
        ):
            for document in remove_documents:
                sections.remove(document)
                chunks.remove(document)
            # What was removed is kept in memory until the commit, 2 kB for each document.
            may_be_there = max(self._chunks.generation(), self._sections.generation()) > 0
            section = _Section(0, 0)
            for chunk, document, text in add:
                if document != section.document and may_be_there:
                    sections.remove(document)
                    chunks.remove(document)
                if document != section.document or section.chunks == SECTION_CHUNKS:
                    section.write(sections)
                    section = _Section(chunk, document)
                found = words.fields(text)
                section.add(found)
                learn(found.terms.split())
                numbers = {"chunk": chunk, "document": document, "section": section.id}
                chunks.add(numbers, {"terms": found.terms, "pairs": weights.named(found.pairs), "stops": found.stops})
            section.write(sections)
        self.reload()

    def search(self, query: str, k: int, documents: Collection[int] | None = None) -> list[tuple[int, float]]:
        """The k best (chunk id, score), best first, of the given documents where some are given.

        Chunks without a word of the query, or one that sounds like it, are not returned. The best are those of the
        chunks that are best by their words alone: twice as many as are wanted, and 200 at least.
        """
        if k <= 0 or (documents is not None and not documents):
            return []
        chunks, sections = self._asked(query)
        return _best(sections, chunks.best(_chosen(k), documents), k)

    def search_among(self, query: str, k: int, among: Among) -> list[tuple[int, float]] | None:
        """The same of those documents that `among` leaves of the ones it is given.

        None where so few of the best chunks of all are theirs that it is quicker to say which documents they are.
        """
        chunks, sections = self._asked(query)
        found = chunks.best_among(_chosen(k), among, _LOOKED_THROUGH * _chosen(k))
        return None if found is None else _best(sections, found, k)

    def score(self, query: str, chunk_ids: Sequence[int]) -> dict[int, float]:
        """The score that `search` gives each of these chunks, 0.0 where nothing matches."""
        chunks, sections = self._asked(query)
        return {**dict.fromkeys(chunk_ids, 0.0), **_scored(sections, chunks.within("chunk", chunk_ids))}

    def _asked(self, query: str) -> tuple[Asked, Asked]:
        """The query to chunks and to sections; a search asks it twice."""
        last = self._last
        if last is None or last[0] != query:
            chunks = self._chunks.asked(*weights.in_chunks(query, self))
            last = self._last = query, chunks, self._sections.asked(weights.in_sections(query))
        return last[1:]

    def frequency(self, term: str) -> int:
        """How many chunks hold a term of `words.terms`; of many, with those that went and are not merged away yet."""
        return self._chunks.living("terms", term)

    def like(self, term: str, *, own: bool) -> list[tuple[str, float]]:
        """Words that sound like a term, with the weight of what they share; of its own script too where `own`."""
        return self._vocabulary.like(term, own=own)

    def idf(self, term: str) -> float:
        """ln(1 + (N - n + ½) / (n + ½)) of a term of `words.terms`, where n of N chunks hold it."""
        return self._chunks.idf("terms", term)

    def close(self) -> None:
        """Let go of the files."""
        nothing = LexicalIndex.create(None)
        self._chunks, self._sections, self._vocabulary = nothing._chunks, nothing._sections, nothing._vocabulary
        self._last = None


class _Section:
    """Chunks of one document that are read as one text; its id is that of its first chunk."""

    def __init__(self, id: int, document: int) -> None:
        self.id = id
        self.document = document
        self.chunks = 0
        self._grams: list[str] = []

    def add(self, found: words.Fields) -> None:
        self.chunks += 1
        self._grams.append(weights.counted(found.grams.split()))

    def write(self, writer: Change) -> None:
        if self.chunks:
            writer.add({"section": self.id, "document": self.document}, {"grams": " ".join(self._grams)})


def _chosen(k: int) -> int:
    """How many are chosen by words, of which k are the best."""
    return max(_LEAST_CHOSEN, _CHOSEN * k)


def _best(sections: Asked, found: Sequence[Row], k: int) -> list[tuple[int, float]]:
    return sorted(_scored(sections, found).items(), key=lambda hit: (-hit[1], hit[0]))[:k]


def _scored(sections: Asked, found: Sequence[Row]) -> dict[int, float]:
    """Scores by chunk, those of their sections added."""
    of_section = {at: score for _, at, score in sections.within("section", {section for _, section, _ in found})}
    return {chunk: score + of_section.get(section, 0.0) for chunk, section, score in found}
