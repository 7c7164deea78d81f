"""PDF text: speed beside a plain pypdf loop, and whether quotes are found on their right page.

    python benchmarks/pdf.py [--data ../shared/data] [--files N] [--quotes N]

Speed is pages per CPU second, children included. Both sides read the same files in turn, ours whole: process,
limits, outline, properties, words made whole. Quotes are sentences of pages.jsonl, where another extractor wrote
down each page; a quote is looked for in the document's text with whitespace, hyphens and ligatures levelled.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import statistics
from bisect import bisect_right
from collections import Counter
from pathlib import Path

import pypdf

from ragkit.loaders.hygiene import expand_ligatures, normalise
from ragkit.loaders.isolation import ParserPool

_LEVELLED = re.compile("[\\s\\-\u2010\u2011\u00ad\ufffe\x02]+")


def cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def by_pypdf(path: Path) -> int:
    reader = pypdf.PdfReader(path)
    return len([page.extract_text() for page in reader.pages])


def by_ragkit(paths: list[Path]) -> tuple[int, float]:
    """Pages and CPU seconds; the processes are ended within, for their time counts only then."""
    begun = cpu_seconds()
    with ParserPool(1) as pool:
        pages = 0
        for path in paths:
            with path.open("rb") as file:
                pages += len(pool.load(file, path.name).document.page_starts)
    return pages, cpu_seconds() - begun


def levelled(text: str) -> tuple[str, list[int]]:
    """Lower case without whitespace and hyphens, and the offset of each character kept."""
    kept, offsets = [], []
    for offset, char in enumerate(text):
        if not _LEVELLED.match(char):
            kept.append(char.lower()[0])
            offsets.append(offset)
    return "".join(kept), offsets


def sentences(text: str) -> list[str]:
    flat = " ".join(text.split())
    return [part for part in re.split(r"(?<=[.!?;])\s+", flat) if 40 <= len(part) <= 300 and part.count(" ") >= 5]


def speed(paths: list[Path], rounds: int) -> None:
    ours, plain = [], []
    for _ in range(rounds):
        pages, seconds = by_ragkit(paths)
        ours.append(pages / seconds)
        begun = cpu_seconds()
        pages = sum(by_pypdf(path) for path in paths)
        plain.append(pages / (cpu_seconds() - begun))
    print(f"pages {pages} in {len(paths)} files, median of {rounds} interleaved rounds, pages per CPU second")
    print(f"  plain pypdf loop       {statistics.median(plain):8.1f}")
    print(f"  ragkit, whole loader   {statistics.median(ours):8.1f}")
    print(f"  ratio                  {statistics.median(a / b for a, b in zip(ours, plain, strict=True)):8.1f}")


def citations(paths: list[Path], pages: Path, count: int) -> None:
    by_file: dict[str, list[tuple[int, str]]] = {}
    for line in pages.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_file.setdefault(Path(row["file"]).name, []).append((row["page"], row["text"]))
    chance = random.Random(17)
    found: Counter[str] = Counter()
    words_there = words_kept = 0
    misses: list[str] = []
    with ParserPool(1) as pool:
        for path in paths:
            with path.open("rb") as file:
                document = pool.load(file, path.name).document
            text, offsets = levelled(document.text)
            quotes = [(page, part) for page, body in by_file[path.name] for part in sentences(body)]
            for page, quote in chance.sample(quotes, min(len(quotes), count // len(paths))):
                key, _ = levelled(expand_ligatures(normalise(quote)))
                places = [offsets[match.start()] for match in re.finditer(re.escape(key), text)]
                at = {bisect_right(document.page_starts, place) for place in places}
                outcome = "not found" if not at else "right page" if page in at else "wrong page"
                found[outcome] += 1
                found["on several pages"] += len(at) > 1
                if outcome != "right page":
                    misses.append(f"{path.name[:8]} p. {page} {outcome} {sorted(at)}: {quote[:90]}")
            for page, body in by_file[path.name]:
                start = document.page_starts[page - 1]
                end = document.page_starts[page] if page < len(document.page_starts) else len(document.text)
                there = Counter(_words(body))
                words_there += sum(there.values())
                words_kept += sum((there & Counter(_words(document.text[start:end]))).values())
    checked = found["right page"] + found["wrong page"] + found["not found"]
    print(f"quotes checked {checked}: " + ", ".join(f"{name} {number}" for name, number in found.items()))
    print(f"words of pages.jsonl that stand on the same page here: {words_kept / words_there:.2%} of {words_there:,}")
    for miss in misses[:10]:
        print("  ", miss)


def _words(text: str) -> list[str]:
    """Letters and digits only: where a word was broken at a line end must not count as a difference."""
    joined = re.sub("(?<=\\w)[-\u2010\u2011\u00ad\ufffe\x02]\\s*(?=\\w)", "", expand_ligatures(normalise_marks(text)))
    return re.findall(r"\w+", joined.lower())


def normalise_marks(text: str) -> str:
    return normalise(text.replace("\ufffe", "-").replace("\x02", "-"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--files", type=int, default=0, help="read only the N smallest files")
    parser.add_argument("--quotes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    paths = sorted((options.data / "pdf" / "files").glob("*.pdf"), key=lambda path: path.stat().st_size)
    paths = paths[: options.files] if options.files else paths
    citations(paths, options.data / "pdf" / "pages.jsonl", options.quotes)
    speed(paths, options.rounds)


if __name__ == "__main__":
    main()
