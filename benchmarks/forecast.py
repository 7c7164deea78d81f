"""How far the forecast of a dry run is from the bill, for mixtures of Russian, English and code.

    python benchmarks/forecast.py [--data ../shared/data]

Tokens are the pieces of a small rule that stands for a byte-pair encoding: it cuts Russian words shorter than
English ones, figures by three digits, and leaves every sign alone. Each mixture is foretold five times, with other
keys, so from other samples; printed is the worst, of the forecast as it is and of one that scales texts by their
bytes for a character, that is by their script.

Then, for services that cannot count: what our estimate says of each corpus, against the bill of the sandbox.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragkit.chunking import RecursiveChunker
from ragkit.forecast import SAMPLED, Forecast
from ragkit.metering import metered
from ragkit.providers.openai import OpenAICompatible
from ragkit.sandbox import Sandbox
from ragkit.types import Document

PIECES = re.compile(r"[a-z]{1,6}|[а-яё]{1,3}|\d{1,3}|[^\w\s]|\w", re.IGNORECASE)
SAMPLES = 5
MOST = 6000  # chunks of one corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    corpora = {
        path.parent.name: chunks(path)
        for path in sorted((parser.parse_args().data / "retrieval").glob("*/corpus.jsonl"))
    }
    chance = random.Random(1)
    mixtures = [list(corpora), *([name] for name in corpora), *(chance.sample(list(corpora), 3) for _ in range(6))]
    print(f"{'chunks':>7}{'off by':>9}{'by script':>11}  corpora")
    for mixture in mixtures:
        texts = list(dict.fromkeys(text for name in mixture for text in corpora[name]))
        if len(texts) <= SAMPLED:
            continue  # all are counted
        bill = sum(map(tokens, texts))
        plain = max(abs(foretold(texts, salt) / bill - 1) for salt in range(SAMPLES))
        script = max(abs(by_script(texts, salt) / bill - 1) for salt in range(SAMPLES))
        print(f"{len(texts):>7}{plain:>9.2%}{script:>11.2%}  {', '.join(mixture) if len(mixture) < 9 else 'all'}")

    print(f"\n{'estimate':>9}{'billed':>9}{'off by':>9}  corpus")
    with Sandbox() as sandbox:
        embedder = OpenAICompatible(sandbox.openai_url, sandbox.api_key).embedder()
        for name, texts in corpora.items():
            some = texts[:: max(1, len(texts) // 300)]
            estimate = sum(embedder.count_tokens(some)[0])
            with metered() as meter:
                embedder.embed_documents(some)
            bill = meter.usage.embedding_tokens
            print(f"{estimate:>9}{bill:>9}{estimate / bill - 1:>+9.1%}  {name}")


def chunks(path: Path) -> list[str]:
    found: list[str] = []
    for line in path.open(encoding="utf-8"):
        if len(found) >= MOST:
            break
        found += [chunk.text for chunk in RecursiveChunker()(Document("x", json.loads(line)["text"]))]
    return found


def tokens(text: str) -> int:
    return len(PIECES.findall(text))


def count(texts: Sequence[str]) -> tuple[list[int], bool]:
    return [tokens(text) for text in texts], True


def keyed(texts: Sequence[str], salt: int) -> Iterator[tuple[bytes, str]]:
    for text in texts:
        yield hashlib.sha256(f"{salt} {text}".encode()).digest(), text


def foretold(texts: Sequence[str], salt: int) -> int:
    forecast = Forecast()
    forecast.add(keyed(texts, salt))
    return forecast.tokens(count)[0]


def by_script(texts: Sequence[str], salt: int) -> float:
    """The same sample, scaled for each kind of text by itself."""
    characters, sampled, billed = Counter[int](), Counter[int](), Counter[int]()
    for text in texts:
        characters[kind(text)] += len(text)
    for _, text in sorted(keyed(texts, salt))[:SAMPLED]:
        sampled[kind(text)] += len(text)
        billed[kind(text)] += tokens(text)
    every = billed.total() / sampled.total()
    return sum(n * (billed[k] / sampled[k] if sampled[k] else every) for k, n in characters.items())


def kind(text: str) -> int:
    """Four kinds for each byte more that a character takes in UTF-8."""
    return 4 * len(text.encode()) // max(1, len(text))


if __name__ == "__main__":
    main()
