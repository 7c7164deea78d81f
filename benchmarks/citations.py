"""Verified citations: how many false quotes are caught, how many true ones rejected, whether pages are right, how fast.

    python benchmarks/citations.py [--data ../shared/data] [--answers 200] [--seed 1] [--pages 300]

"planted": answers with one quote each, made of real documents by a seed: half true (as it stands, set otherwise,
hyphenated, with ligatures, over sentences, shortened with an ellipsis, copied without marks, from another chunk of the
document), half false (invented, stitched, of another document, too short, with another number, without or with a "не",
with another word). A false one is checked first not to stand in the document by accident, with letters and digits
alone compared. "caught" is the share of false quotes whose citation is neither exact nor normalized, "kept" that of
true ones whose citation is, and covers the place they were taken from.

"pages": sentences of annual reports by the page where another extractor read them, each with a chunk that touches
that page as its source, chunks overlapping and crossing pages as they do; "found", and of these "page right".

"chance": how often 1 to 4 words in a row from one document stand in six passages of another in the same language:
what a quote of that length proves.

"time": milliseconds for an answer with ten quotes over a document of 500 pages, median and slowest of 20 and the
median of the processor's time, each with a fresh copy of the document: with quotes from the six passages given, from
elsewhere in the document, both also set otherwise, invented, and of two words.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragkit.answers import Support, Verification
from ragkit.chunking import RecursiveChunker
from ragkit.citations import Verified, verify
from ragkit.errors import LoadError
from ragkit.loaders import load
from ragkit.sentences import sentences
from ragkit.types import Chunk, Document, Hit

ROOT = Path(__file__).parents[1]
FOUND = (Verification.EXACT, Verification.NORMALIZED)
GIVEN = 6  # passages with each answer


@dataclass(frozen=True, slots=True)
class Book:
    """A document with its chunks and the spans of its sentences of prose."""

    document: Document
    chunks: list[Chunk]
    prose: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Planted:
    kind: str
    answer: str
    hits: list[Hit]
    documents: dict[str, Document]
    start: int = -1  # of a true quote
    end: int = -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", type=int, default=300, help="sentences whose page is checked")
    args = parser.parse_args()
    documents = read(args.data)
    books = [book for book in map(bound, documents) if len(book.prose) >= 8]
    print(f"{len(books)} documents, {sum(len(book.prose) for book in books)} sentences\n")
    show(planted(books, args.answers, random.Random(args.seed)))
    show_chance(books, random.Random(args.seed))
    if (args.data / "pdf" / "pages.jsonl").exists():
        show_pages(args.data / "pdf" / "pages.jsonl", books, args.pages, random.Random(args.seed))
    show_time(documents, random.Random(args.seed))


def read(data: Path) -> list[Document]:
    """The real documents, else the samples of the project."""
    paths = [*(data / "pdf").rglob("*.pdf"), *(data / "documents_ru").iterdir()] if data.exists() else []
    found = []
    for path in sorted(paths) or sorted((ROOT / "sample_docs").iterdir()):
        try:
            with path.open("rb") as stream:
                found.append(load(stream, path.name).document)
        except LoadError:  # some are broken on purpose, some are no documents
            continue
    return found


def bound(document: Document) -> Book:
    text = document.text
    prose = [(start, end) for start, end in sentences(text) if is_prose(text[start:end])]
    return Book(document, RecursiveChunker()(document), prose)


def is_prose(text: str) -> bool:
    """A whole sentence of 8 words and more that an answer may quote."""
    return (
        8 <= len(text.split()) <= 60
        and text[0].isupper()
        and text[-1] == "."
        and sum(map(str.isalpha, text)) > 0.7 * len(text)
        and not re.search(r"[«»“”„\"\[\]|…>]|\.\.", text)
    )


# Planted answers


def planted(books: Sequence[Book], count: int, rng: random.Random) -> dict[str, list[tuple[Planted, bool]]]:
    """By kind the cases, each with whether it was judged rightly."""
    judged: dict[str, list[tuple[Planted, bool]]] = defaultdict(list)
    for makers, share in ((TRUE, count // 2), (FALSE, count - count // 2)):
        kinds = list(makers)
        for turn in range(share):
            case = None
            while case is None:
                case = makers[kinds[turn % len(kinds)]](rng.choice(books), books, rng)
            case = replace(case, kind=kinds[turn % len(kinds)])
            verified = verify(case.answer, case.hits, case.documents.__getitem__)
            judged[case.kind].append((case, accepted(case, verified) is (makers is TRUE)))
    return judged


def accepted(case: Planted, verified: Verified) -> bool:
    """Whether the quote counts as found: for a true one, at its own place; for a false one, anywhere."""
    if case.start < 0:
        return any(c.verification in FOUND for c in verified.citations) or any(
            statement.support is Support.VERIFIED for statement in verified.statements
        )
    page = bisect_right(case.documents[case.hits[0].chunk.source].page_starts, case.start) or None
    return all(statement.support is Support.VERIFIED for statement in verified.statements) and any(
        c.verification in FOUND and (c.start, c.page) == (case.start, page) and abs(c.end - case.end) <= 1
        for c in verified.citations
    )


def given(book: Book, start: int, books: Sequence[Book], rng: random.Random) -> list[Hit]:
    """The chunk with the offset as source 1, behind it chunks of this and other documents."""
    last = max(i for i, chunk in enumerate(book.chunks) if chunk.start <= start)
    first = min(i for i, chunk in enumerate(book.chunks) if chunk.end > start)
    own = book.chunks[rng.randint(first, max(first, last))]
    others = [rng.choice(rng.choice([book, *rng.sample(list(books), 2)]).chunks) for _ in range(GIVEN - 1)]
    return [Hit(i, chunk, 1.0) for i, chunk in enumerate([own, *others])]


def case_of(
    quote: str, book: Book, books: Sequence[Book], rng: random.Random, start: int, end: int = -1, bare: bool = False
) -> Planted:
    """An answer that gives the quote as one of source 1. `end` is given for true quotes."""
    hits = given(book, start, books, rng)
    russian = re.search("[а-я]", quote) is not None
    pairs = [('"', '"'), ("“", "”"), ("«", "»")] if not russian else [("«", "»"), ("„", "“"), ('"', '"')]
    opening, closing = rng.choice(pairs)
    marker = rng.choice(["[1]", "[1]", "[1]", "【1】", "[источник 1]" if russian else "[source 1]"])
    lead = rng.choice(["В документе сказано: ", "", "Так, "] if russian else ["The document says: ", "", "Thus, "])
    answer = f"{quote} {marker}" if bare else f"{lead}{opening}{quote}{closing} {marker}."
    sources = {hit.chunk.source for hit in hits}
    documents = {b.document.source: b.document for b in [*books, book] if b.document.source in sources}
    documents[book.document.source] = book.document
    return Planted("", answer, hits, documents, start if end >= 0 else -1, end)


def picked(book: Book, rng: random.Random) -> tuple[int, int, str]:
    start, end = rng.choice(book.prose)
    return start, end, book.document.text[start:end]


def as_it_stands(book: Book, books: Sequence[Book], rng: random.Random) -> Planted:
    start, end, text = picked(book, rng)
    return case_of(text, book, books, rng, start, end)


def a_part(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, _, text = picked(book, rng)
    words = list(re.finditer(r"\S+", text))
    first = rng.randrange(len(words) - 5)
    last = rng.randrange(first + 4, len(words))
    if not text[words[first].start()].isalpha():
        return None
    from_, to = words[first].start(), words[last].end()
    if is_standing(text[from_:to], book.document.text) > 1:
        return None
    return case_of(text[from_:to], book, books, rng, start + from_, start + to)


def over_sentences(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    index = rng.randrange(len(book.prose) - 1)
    (start, end), (following, last) = book.prose[index : index + 2]
    if book.document.text[end:following].strip():
        return None
    return case_of(book.document.text[start:last], book, books, rng, start, last)


def set_otherwise(book: Book, books: Sequence[Book], rng: random.Random) -> Planted:
    """Spaces, first letter, ё, dashes, bold words, no full stop: two or more of these."""
    start, end, text = picked(book, rng)
    changes: list[Callable[[str], str]] = [
        lambda quote: " ".join(quote.split()),
        lambda quote: re.sub(r"\s+", "\u00a0", quote, count=3),
        lambda quote: quote[0].lower() + quote[1:],
        lambda quote: quote.replace("ё", "е").replace("Ё", "Е") if "ё" in quote else quote.replace("е", "ё", 1),
        lambda quote: re.sub(r" [–—-] ", rng.choice([" — ", " – ", " - "]), quote),
        lambda quote: re.sub(r"(?<=\s)(\w{5,})", r"**\1**", quote, count=2),
        lambda quote: quote.rstrip("."),
        lambda quote: quote.rstrip(".") + "…",
        lambda quote: quote.replace("'", "’"),
        lambda quote: re.sub(r"(\w{4})(\w{4})", "\\1\u00ad\\2", quote, count=3),
    ]
    for change in rng.sample(changes, rng.randint(2, 5)):
        text = change(text)
    return case_of(text, book, books, rng, start, end)


def printed(change: Callable[[str], str]) -> Callable[[Book, Sequence[Book], random.Random], Planted | None]:
    """The quote is what stands in the document; the document is printed otherwise."""

    def make(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
        start, end, text = picked(book, rng)
        other = change(text)
        if other == text:
            return None
        chunk = next(chunk for chunk in reversed(book.chunks) if chunk.start <= start)
        low, high = chunk.start, max(chunk.end, end)
        whole = book.document.text
        document = replace(
            book.document,
            source=f"{book.document.source} (printed otherwise)",
            text=whole[:start] + other + whole[end:],
            page_starts=tuple(at + (len(other) - len(text)) * (at > start) for at in book.document.page_starts),
        )
        high += len(other) - len(text)
        source = Chunk(document.source, low, high, document.text[low:high])
        return case_of(" ".join(text.split()), Book(document, [source], []), books, rng, start, start + len(other))

    return make


def shortened(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, end, text = picked(book, rng)
    words = text.split(" ")
    if len(words) < 12 or re.search(r"\b(?:не|ни|нет|без|кроме|not?|never|without|except|unless)\b", text, re.I):
        return None
    left = rng.randrange(3, len(words) - 6)
    right = rng.randrange(left + 1, len(words) - 3)
    if min(is_standing(" ".join(part), book.document.text) for part in (words[:left], words[right:])) > 1:
        return None  # two sentences begin and end so
    mark = rng.choice(["…", "...", "[…]", "[...]", "(…)"])
    return case_of(f"{' '.join(words[:left])} {mark} {' '.join(words[right:])}", book, books, rng, start, end)


def copied(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, end, text = picked(book, rng)
    if len(sentences(" ".join(text.split()))) > 1:
        return None
    return case_of(" ".join(text.split()), book, books, rng, start, end, bare=True)


def other_chunk(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, end, text = picked(book, rng)
    if is_standing(text, book.document.text) != 1:
        return None
    case = case_of(text, book, books, rng, start, end)
    return replace(case, hits=[replace(case.hits[0], chunk=rng.choice(book.chunks)), *case.hits[1:]])


def invented(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    """Words of the document in an order of our own, or a sentence of a document that was not given."""
    start, _, text = picked(book, rng)
    if rng.random() < 0.5:
        words = text.rstrip(".").split()
        rng.shuffle(words)
        return false(" ".join(words), book, books, rng, start)
    case = false(picked(rng.choice(list(books)), rng)[2], book, books, rng, start)
    if case is None or any(is_standing(inner(case), document.text) for document in case.documents.values()):
        return None
    return case


def stitched(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    """The beginning of one sentence and the end of another, with or without an ellipsis."""
    (start, end), (other, last) = rng.sample(book.prose, 2)
    text = book.document.text
    mark = rng.choice([" ", " ", "… ", " [...] ", ", "])
    if mark not in (" ", ", ") and 0 <= other - end < 2000:
        return None  # an honest ellipsis, perhaps
    first, second = text[start:end].split(), text[other:last].split()
    quote = " ".join(first[: rng.randint(4, 7)]) + mark + " ".join(second[-rng.randint(4, 7) :])
    return false(quote, book, books, rng, start)


def other_document(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    """A true quote of source 2, said to be of source 1."""
    start, _, _ = picked(book, rng)
    other = rng.choice(books)
    from_, _, quote = picked(other, rng)
    case = false(quote, book, books, rng, start)
    if other.document.source == book.document.source or case is None:
        return None
    second = given(other, from_, books, rng)[0]
    return replace(
        case,
        hits=[case.hits[0], replace(second, id=1), *case.hits[2:]],
        documents={**case.documents, other.document.source: other.document},
    )


def too_short(book: Book, books: Sequence[Book], rng: random.Random) -> Planted:
    start, _, text = picked(book, rng)
    words = text.rstrip(".").split()
    first = rng.randrange(len(words) - 2)
    return case_of(" ".join(words[first : first + rng.randint(1, 2)]), book, books, rng, start)


def other_number(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, _, text = picked(book, rng)
    digits = [match.start() for match in re.finditer(r"\d", text)]
    if not digits:
        return None
    at = rng.choice(digits)
    digit = rng.choice([digit for digit in "0123456789" if digit != text[at]])
    change = rng.choice([digit, digit, text[at] + digit, ""])
    return false(text[:at] + change + text[at + 1 :], book, books, rng, start)


def other_sense(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    """A negation taken out, or put in before a word."""
    start, _, text = picked(book, rng)
    negated = re.sub(r"(?<=\s)(?:не|not)\s", "", text, count=1)
    if negated == text:
        words = text.split()
        words.insert(rng.randrange(2, len(words) - 1), "не" if re.search("[а-я]", text) else "not")
        negated = " ".join(words)
    return false(negated, book, books, rng, start)


def other_word(book: Book, books: Sequence[Book], rng: random.Random) -> Planted | None:
    start, _, text = picked(book, rng)
    words = text.rstrip(".").split()
    at = rng.randrange(1, len(words) - 1)
    if rng.random() < 0.3:
        del words[at]
    else:
        words[at] = rng.choice(picked(book, rng)[2].rstrip(".").split())
    return false(" ".join(words), book, books, rng, start)


def false(quote: str, book: Book, books: Sequence[Book], rng: random.Random, start: int) -> Planted | None:
    """None where the quote stands in the document by accident."""
    if is_standing(quote, book.document.text):
        return None
    return case_of(quote, book, books, rng, start)


def inner(case: Planted) -> str:
    return re.sub(r"^.*?[«„“\"]|[»“”\"][^»“”\"]*$", "", case.answer)


def is_standing(quote: str, text: str) -> int:
    """How often it stands there, letters and digits alone compared: an independent and lax judge."""
    return plain(text).count(plain(quote))


def plain(text: str) -> str:
    if text not in _PLAIN:
        if len(_PLAIN) > 2000:
            _PLAIN.clear()
        _PLAIN[text] = re.sub(r"[\W_]+", "", text.lower().replace("ё", "е"))
    return _PLAIN[text]


_PLAIN: dict[str, str] = {}
Maker = Callable[[Book, Sequence[Book], random.Random], Planted | None]
TRUE: dict[str, Maker] = {
    "as it stands": as_it_stands,
    "a part of a sentence": a_part,
    "over sentences": over_sentences,
    "set otherwise": set_otherwise,
    "hyphenated in print": printed(lambda text: re.sub(r"(\w{4})(\w{4})", "\\1-\n\\2", text, count=2)),
    "ligatures in print": printed(lambda text: text.replace("fi", "ﬁ").replace("fl", "ﬂ").replace("ff", "ﬀ")),
    "shortened": shortened,
    "copied without marks": copied,
    "of another chunk": other_chunk,
}
FALSE: dict[str, Maker] = {
    "invented": invented,
    "stitched": stitched,
    "of another document": other_document,
    "too short": too_short,
    "another number": other_number,
    "another sense": other_sense,
    "another word": other_word,
}


def show(judged: dict[str, list[tuple[Planted, bool]]]) -> None:
    print(f"{'planted':24}{'answers':>10}{'right':>10}")
    for kind, cases in judged.items():
        print(f"{kind:24}{len(cases):>10}{share(cases):>10.3f}")
    for name, makers in (("kept, of true quotes", TRUE), ("caught, of false ones", FALSE)):
        cases = [case for kind in makers for case in judged.get(kind, [])]
        print(f"{name:24}{len(cases):>10}{share(cases):>10.3f}")
    for cases in judged.values():
        for case, right in cases:
            if not right:
                print(f"  wrong: {case.kind}: {case.answer[:300]!r}")
    print()


def share(cases: Sequence[tuple[Planted, bool]]) -> float:
    return sum(right for _, right in cases) / max(1, len(cases))


def show_chance(books: Sequence[Book], rng: random.Random) -> None:
    print(f"{'chance of words in a row':24}{'1':>10}{'2':>10}{'3':>10}{'4':>10}")
    by_language: dict[bool, list[Book]] = defaultdict(list)
    for book in books:
        by_language[len(re.findall("[а-яё]", book.document.text)) > len(book.document.text) / 4].append(book)
    for russian, shelf in sorted(by_language.items()):
        if len(shelf) < 2:
            continue
        rates = []
        for length in range(1, 5):
            met = 0
            for _ in range(500):
                book, other = rng.sample(shelf, 2)
                words = picked(book, rng)[2].split()
                first = rng.randrange(len(words) - length + 1)
                wanted = " ".join(words[first : first + length]).strip(".,;:()").lower()
                passages = [rng.choice(other.chunks).text.lower() for _ in range(GIVEN)]
                met += any(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", passage) for passage in passages)
            rates.append(met / 500)
        print(f"{'Russian' if russian else 'English':24}" + "".join(f"{rate:>10.3f}" for rate in rates))
    print()


def show_pages(path: Path, books: Sequence[Book], count: int, rng: random.Random) -> None:
    """Sentences that another extractor read on exactly one page, and that ours has at most once."""
    by_name = {book.document.source: book for book in books}
    places: dict[str, Counter[str]] = defaultdict(Counter)
    found: list[tuple[str, int, str]] = []
    for row in map(json.loads, path.read_text("utf-8").splitlines()):
        name = Path(row["file"]).name
        for start, end in sentences(row["text"]):
            text = row["text"][start:end]
            if name in by_name and is_prose(text):
                places[name][plain(text)] += 1
                found.append((name, row["page"], text))
    once = [(name, page, text) for name, page, text in found if places[name][plain(text)] == 1]
    results = Counter[str]()
    for name, page, text in rng.sample(once, min(count, len(once))):
        book = by_name[name]
        starts = book.document.page_starts
        low, high = starts[page - 1], starts[page] if page < len(starts) else len(book.document.text)
        touching = [chunk for chunk in book.chunks if chunk.start < high and chunk.end > low]
        if not touching or is_standing(text, book.document.text) > 1:
            continue
        crossing = [chunk for chunk in touching if chunk.start < low]
        chunk = crossing[-1] if crossing and rng.random() < 0.5 else rng.choice(touching)
        verified = verify(f"“{text}” [1]", [Hit(0, chunk, 1.0)], {name: book.document}.__getitem__)
        citation = verified.citations[0]
        results["sentences"] += 1
        results["chunk of another page"] += chunk.page != page
        if citation.verification in FOUND:
            results["found"] += 1
            results["page right"] += citation.page == page
            if citation.page != page:
                print(f"  wrong: page {citation.page} for {page} of {name}: {text!r}")
            line = book.document.text[low : citation.start].count("\n") + 1
            results["line right"] += citation.line == line
    print("pages: " + ", ".join(f"{name} {value}" for name, value in results.items()) + "\n")


def show_time(documents: Sequence[Document], rng: random.Random) -> None:
    text = ""
    starts: list[int] = []
    paged = [document for document in documents if len(document.page_starts) > 1] or list(documents)
    while len(starts) < 500:
        for document in paged:
            ends = [*document.page_starts[1:], len(document.text)]
            for start, end in zip(document.page_starts or (0,), ends, strict=True):
                starts.append(len(text))
                text += document.text[start:end]
    text, starts = text[: starts[500]] if len(starts) > 500 else text, starts[:500]
    book = bound(Document("large.pdf", text, page_starts=tuple(starts)))
    chunks = rng.sample([chunk for chunk in book.chunks if len(chunk.text) > 500], GIVEN)
    hits = [Hit(i, chunk, 1.0) for i, chunk in enumerate(chunks)]
    near = [
        (text[a:b], i) for i, chunk in enumerate(chunks, 1) for a, b in book.prose if chunk.start <= a < b <= chunk.end
    ]
    far = [(text[a:b], rng.randint(1, GIVEN)) for a, b in rng.sample(book.prose, 10)]
    false = [(" ".join(rng.sample(quote.split(), len(quote.split()))), number) for quote, number in far]
    short = [(" ".join(quote.split()[2:4]).strip(".,;:"), number) for quote, number in far]
    print(f"{f'ms, {len(text):,} characters':44}{'median':>10}{'slowest':>10}{'CPU':>10}")
    for name, quotes in {
        "from the passages": near,
        "from the passages, set otherwise": [(otherwise(quote), number) for quote, number in near],
        "from elsewhere": far,
        "from elsewhere, set otherwise": [(otherwise(quote), number) for quote, number in far],
        "invented": false,
        "two words from elsewhere": short,
    }.items():
        ten = (quotes * 10)[:10]
        answer = " ".join(f"The report says “{quote}” [{number}]." for quote, number in ten)
        paragraphs = ". ".join(f"{quote.rstrip('.')} [{number}]" for quote, number in ten)
        for shape, written in (("", answer), (", no marks", paragraphs)):
            seconds, busy = [], []
            for _ in range(20):
                document = replace(book.document, text="".join([text[:1], text[1:]]))  # nothing is known of it yet
                began, worked = time.perf_counter(), time.process_time()
                verify(written, hits, {"large.pdf": document}.__getitem__)
                busy.append(time.process_time() - worked)
                seconds.append(time.perf_counter() - began)
            times = (statistics.median(seconds), max(seconds), statistics.median(busy))
            print(f"{name + shape:44}" + "".join(f"{1000 * value:>10.2f}" for value in times))


def otherwise(quote: str) -> str:
    return " ".join(quote.split()).replace("e", "**e**", 1).lower()


if __name__ == "__main__":
    main()
