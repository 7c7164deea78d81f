"""The word index: BM25 over stems, 4-grams, pairs of words and sounds, in two inverted indexes.

A cache: whatever it holds can be made again from the catalog, so anything wrong with it is answered by deleting
and rebuilding. It knows chunks by number only.

A chunk's score is its own plus a share of its section's, which is up to eight chunks of one document read as one
text: what a question asks is often said in two places. Cut into chunks, articles of three sets of thirteen rank .005
to .017 of nDCG@10 lower than whole; sections give most of that back and are a fifth of the index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ragkit import words
from ragkit.store import weights
from ragkit.store.inverted import Asked, Change, InvertedIndex, LexicalUnusable, dead_share

__all__ = ["SECTION_CHUNKS", "LexicalIndex", "LexicalUnusable"]

SECTION_WEIGHT = 0.8  # of a section beside a chunk; at 1 answers in long articles lose .02 to their neighbours
# Chunks from which on words choose what is scored (see `weights`). Below, all that shares something with a question is
# looked through, which is exact and takes no longer.
LED_FROM = 20_000
_LED = 2  # times as many as are wanted are chosen by the terms that lead, and then scored
_LEAST_LED = 100
SECTION_CHUNKS = 8  # at most, about 5 000 characters; 4 gain a little less, 16 a little more

# Each with whether it counts how often a term stands in a text: of pairs it says nothing. Sounds are of stems, which
# takes two fifths off them.
_CHUNK_FIELDS = {
    "terms": True,
    "grams": True,
    "pairs": False,
    "stops": True,
    "cyrillic_roots": True,
    "latin_roots": True,
}
_SECTION_FIELDS = {"terms": True, "grams": True}  # pairs would gain nothing here


class LexicalIndex:
    """One snapshot for reading, replaced by `update` and `reload`. Safe to share between threads."""

    def __init__(self, chunks: InvertedIndex, sections: InvertedIndex) -> None:
        self._chunks = chunks
        self._sections = sections

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
        return cls(
            InvertedIndex(path and path / "chunks", _CHUNK_FIELDS, new=True),
            InvertedIndex(path and path / "sections", _SECTION_FIELDS, new=True),
        )

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
        return cls(
            InvertedIndex(path / "chunks", _CHUNK_FIELDS, new=False),
            InvertedIndex(path / "sections", _SECTION_FIELDS, new=False),
        )

    def __len__(self) -> int:
        """The number of chunks."""
        return len(self._chunks)

    @property
    def generation(self) -> int:
        """The generation of the catalog that this snapshot reflects; 0 when nothing was ever written.

        Between the two commits of an update it is the older one: the same update, done again, completes it.
        """
        return min(self._chunks.generation(), self._sections.generation())

    @property
    def generations(self) -> dict[str, int]:
        """Of each part, by the name of its folder."""
        return {"chunks": self._chunks.generation(), "sections": self._sections.generation()}

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
            # What was removed is kept in memory until the commit, 2 kB for each document.
            may_be_there = max(self.generations.values()) > 0
            section = _Section(0, 0)
            for chunk, document, text in add:
                if document != section.document and may_be_there:
                    sections.remove(document)
                    chunks.remove(document)
                if document != section.document or len(section.fields) == SECTION_CHUNKS:
                    section.write(sections)
                    section = _Section(chunk, document)
                found = words.fields(text)
                section.fields.append(found)
                numbers = {"chunk": chunk, "document": document, "section": section.id}
                chunks.add(
                    numbers,
                    {**{name: getattr(found, name) for name in _CHUNK_FIELDS}, "pairs": weights.named(found.pairs)},
                )
            section.write(sections)
        self.reload()

    def search(self, query: str, k: int, documents: Collection[int] | None = None) -> list[tuple[int, float]]:
        """The k best (chunk id, score), best first, of the given documents where some are given.

        Chunks that share nothing with the query are not returned. Below `LED_FROM` chunks all others compete; above,
        those do that are best by the terms which lead, or all where these are too few. The scores are the same.
        """
        if k <= 0 or (documents is not None and not documents):
            return []
        chunks, sections = self._asked(query)
        if documents is not None:
            documents = frozenset(documents)
        if chunks.is_led and (led := self._led(chunks, sections, k, documents)):
            return led
        wanted = 3 * k  # with 2, every second question is asked again
        while True:
            best_chunks = chunks.best(wanted, documents)
            best_sections = sections.best(max(4, wanted // 2), documents)
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
            wanted *= 3

    def score(self, query: str, chunk_ids: Sequence[int]) -> dict[int, float]:
        """The score that `search` gives each of these chunks, 0.0 where nothing matches."""
        chunks, sections = self._asked(query)
        return {**dict.fromkeys(chunk_ids, 0.0), **_scored(chunks, sections, chunk_ids)}

    def _asked(self, query: str) -> tuple[Asked, Asked]:
        """The query to both parts. What leads depends on the query and the index alone, and so do scores."""
        is_led = len(self) >= LED_FROM
        return (
            self._chunks.snapshot(*weights.wanted(query, weights.in_chunks(query), self._chunks, is_led=is_led)),
            self._sections.snapshot(*weights.wanted(query, weights.in_sections(query), self._sections, is_led=is_led)),
        )

    def _led(
        self, chunks: Asked, sections: Asked, k: int, documents: Collection[int] | None
    ) -> list[tuple[int, float]]:
        """The k best of those that the terms which lead find; none where these find too few to choose among."""
        wanted = max(_LEAST_LED, _LED * k)
        found = {chunk: (section, score) for chunk, section, score in chunks.led(wanted, documents)}
        if len(found) < wanted:
            return []
        if 2 * len(self._sections) <= len(self):  # else most are one chunk, and find what chunks find
            near = {section: score for _, section, score in sections.led(wanted // 4, documents)}
            inside = chunks.led_within("section", near, len(near) * SECTION_CHUNKS)
            found.update({chunk: (section, score) for chunk, section, score in inside})
            missing = {section for section, _ in found.values()} - near.keys()
            near.update({at: score for _, at, score in sections.led_within("section", missing, len(missing))})
            total = {
                chunk: score + SECTION_WEIGHT * near.get(section, 0.0) for chunk, (section, score) in found.items()
            }
            likely = sorted(total, key=lambda chunk: (-total[chunk], chunk))[:wanted]
        else:
            likely = list(found)
        return sorted(_scored(chunks, sections, likely).items(), key=lambda hit: (-hit[1], hit[0]))[:k]

    def idf(self, terms: Iterable[str]) -> dict[str, float]:
        """ln(1 + (N - n + ½) / (n + ½)) of each term of `words.terms`, where n of N chunks hold it."""
        return {term: self._chunks.idf("terms", term) for term in terms}

    def close(self) -> None:
        """Let go of the files."""
        self._chunks, self._sections = (
            InvertedIndex(None, part.fields, new=True) for part in (self._chunks, self._sections)
        )


class _Section:
    """Chunks of one document that are read as one text; its id is that of its first chunk."""

    def __init__(self, id: int, document: int) -> None:
        self.id = id
        self.document = document
        self.fields: list[words.Fields] = []

    def write(self, writer: Change) -> None:
        if self.fields:
            texts = {name: " ".join([getattr(found, name) for found in self.fields]) for name in _SECTION_FIELDS}
            writer.add({"section": self.id, "document": self.document}, texts)


def _scored(chunks: Asked, sections: Asked, ids: Collection[int]) -> dict[int, float]:
    """The score of those of these chunks that share something with the query."""
    found = chunks.within("chunk", ids, len(ids))
    around = {section for _, section, _ in found}
    of_section = {section: score for _, section, score in sections.within("section", around, len(around))}
    return {chunk: score + SECTION_WEIGHT * of_section.get(section, 0.0) for chunk, section, score in found}
