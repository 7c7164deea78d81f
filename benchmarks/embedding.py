"""How near the embedding pipeline comes to what the slots of a service allow.

A server in a process of its own answers every request for embeddings after 100 ms, with 1024 numbers for each text.
The ideal time is (batches / slots) × 100 ms. Compared in one run, interleaved, medians of CPU-noisy rounds:
`RemoteEmbedder` over GigaChat, a whole indexing run with it, and httpx with threads and the standard library's JSON,
which is what one would write by hand.

    python benchmarks/embedding.py
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from servers import embeddings, running

import ragkit
from ragkit.providers.gigachat import GigaChat

LATENCY = 0.1
BATCH = 16
DIMENSION = 1024


def ours(port: int, slots: int, texts: list[str]) -> float:
    giga = GigaChat(
        "a2V5OnZhbHVl", base_url=f"http://127.0.0.1:{port}/v1", auth_url=f"http://127.0.0.1:{port}/oauth", slots=slots
    )
    embedder = giga.embedder()
    embedder.embed_documents(texts[:1])  # the token, the first connection
    began = time.perf_counter()
    rows = embedder.embed_documents(texts)
    seconds = time.perf_counter() - began
    assert rows.shape == (len(texts), DIMENSION)
    giga.close()
    return seconds


def by_hand(port: int, slots: int, texts: list[str]) -> float:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1") as client, ThreadPoolExecutor(slots) as pool:

        def embed(start: int) -> np.ndarray:
            reply = client.post("/embeddings", json={"model": "Embeddings", "input": texts[start : start + BATCH]})
            return np.array([item["embedding"] for item in reply.json()["data"]], np.float32)

        embed(0)
        began = time.perf_counter()
        rows = np.concatenate(list(pool.map(embed, range(0, len(texts), BATCH))))
        seconds = time.perf_counter() - began
    assert rows.shape == (len(texts), DIMENSION)
    return seconds


def indexing(port: int, slots: int, texts: list[str]) -> float:
    """The same texts as documents of an index: with chunks, commits, the word index."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "provider": "gigachat",
            "gigachat_credentials": "a2V5OnZhbHVl",
            "gigachat_base_url": f"http://127.0.0.1:{port}/v1",
            "gigachat_auth_url": f"http://127.0.0.1:{port}/oauth",
            "slots": slots,
        }
        with ragkit.open(Path(folder) / "index", **settings) as rag:
            rag.add([ragkit.Document("first", "The first of all.")])
            began = time.perf_counter()
            report = rag.add(ragkit.Document(str(n), text) for n, text in enumerate(texts))
            seconds = time.perf_counter() - began
        assert report.embedded == len(texts)
    return seconds


WAYS: dict[str, Callable[[int, int, list[str]], float]] = {
    "RemoteEmbedder": ours,
    "httpx, threads, json": by_hand,
    "indexing run": indexing,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, nargs="+", default=[16, 4, 1])
    arguments = parser.parse_args()
    words = ["залог", "срок", "акт", "ключ", "дом", "lease", "term", "key"]
    chooser = random.Random(0)
    with running(embeddings(LATENCY, BATCH, DIMENSION)) as server:
        print(f"{'slots':>5} {'ideal':>7}  " + "".join(f"{name:>24}" for name in WAYS))
        for slots in arguments.slots:
            batches = arguments.batches if slots > 1 else arguments.batches // 8
            texts = [f"{' '.join(chooser.choices(words, k=12))} {n}" for n in range(batches * BATCH)]
            ideal = batches / slots * LATENCY
            taken: dict[str, list[float]] = {name: [] for name in WAYS}
            for _ in range(arguments.rounds):
                for name, way in WAYS.items():
                    taken[name].append(way(server.port, slots, texts) / ideal)
            shown = [f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})" for each in taken.values()]
            print(f"{slots:>5} {ideal:>6.1f}s  " + "".join(f"{each:>24}" for each in shown), flush=True)
        print(f"most requests in flight at once, over all: {server.counts()}")


if __name__ == "__main__":
    main()
