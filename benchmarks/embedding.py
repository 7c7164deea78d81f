"""How near the embedding pipeline comes to what the slots of a service allow.

A server in a process of its own answers every request for embeddings after 100 ms, with 1024 numbers for each text.
The ideal time is (batches / slots) × 100 ms. Compared in one run, interleaved, medians of CPU-noisy rounds:
`RemoteEmbedder` over GigaChat, a whole indexing run with it, and httpx with threads and the standard library's JSON,
which is what one would write by hand.

    python benchmarks/embedding.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np

import ragkit
from ragkit.providers.gigachat import GigaChat

LATENCY = 0.1
BATCH = 16
DIMENSION = 1024


def serve(pipe: Connection) -> None:
    """An asyncio server with answers made beforehand; the most requests in flight go back through the pipe."""
    numbers = np.random.default_rng(0).normal(0, 0.9, (BATCH, DIMENSION)).astype(np.float16)
    items = [
        {"object": "embedding", "index": i, "embedding": row.tolist(), "usage": {"prompt_tokens": 7}}
        for i, row in enumerate(numbers)
    ]
    bodies = [
        json.dumps({"object": "list", "data": items[:n], "model": "Embeddings"}).encode() for n in range(BATCH + 1)
    ]
    token = json.dumps({"access_token": "t", "expires_at": 2**41}).encode()
    state = {"now": 0, "most": 0}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
                )
                body = await reader.readexactly(length)
                if b"/oauth" in head.split(b"\r\n", 1)[0]:
                    answer = token
                elif b"/tokens/count" in head.split(b"\r\n", 1)[0]:
                    answer = json.dumps([{"tokens": 2, "characters": 9}] * len(json.loads(body)["input"])).encode()
                else:
                    state["now"] += 1
                    state["most"] = max(state["most"], state["now"])
                    await asyncio.sleep(LATENCY)
                    state["now"] -= 1
                    answer = bodies[len(json.loads(body)["input"])]
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20)
        pipe.send(server.sockets[0].getsockname()[1])
        while not pipe.poll():
            await asyncio.sleep(0.05)
        pipe.send(state["most"])

    asyncio.run(run())


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
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    server.start()
    port = near.recv()
    print(f"{'slots':>5} {'ideal':>7}  " + "".join(f"{name:>24}" for name in WAYS))
    for slots in arguments.slots:
        batches = arguments.batches if slots > 1 else arguments.batches // 8
        texts = [f"{' '.join(chooser.choices(words, k=12))} {n}" for n in range(batches * BATCH)]
        ideal = batches / slots * LATENCY
        taken: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(arguments.rounds):
            for name, way in WAYS.items():
                taken[name].append(way(port, slots, texts) / ideal)
        shown = [f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" for ratios in taken.values()]
        print(f"{slots:>5} {ideal:>6.1f}s  " + "".join(f"{each:>24}" for each in shown))
    near.send(None)
    print(f"most requests in flight at once, over all: {near.recv()}")
    server.join()


if __name__ == "__main__":
    main()
