"""A thousand requests while everything goes wrong that can: each ends well or with its name, and is paid for once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ragkit.errors import ProviderError
from ragkit.messages import Message
from ragkit.metering import metered
from ragkit.providers.embedding import RemoteEmbedder
from ragkit.providers.gigachat import GigaChat
from ragkit.sandbox import FAULTS, Sandbox
from ragkit.types import Usage

REQUESTS, THREADS = 1000, 12
SHORT = {  # options that keep the storm short; the faults are the same
    "stall-stream": {"seconds": 0.3},
    "slow-stream": {"seconds": 0.01},
    "slow": {"seconds": 0.05},
    "huge": {"bytes": 200_000},
    "429-retry-after": {"seconds": 0.05},
    "429-retry-date": {"seconds": 0},
}
# Replies that the service has made and billed, and that never arrive whole.
SPOILED = {"bad-json", "html-200", "error-200", "huge", "drop", "drop-body", "missing-item", "extra-item", "nan"}
SPOILED |= {"zero-vector", "wrong-dimension", "cut-stream", "drop-stream", "stream-error", "no-usage"}


def test_a_thousand_requests_in_a_storm() -> None:
    """Every answer that comes is the right one, every other is a typed error, and no success is asked for again."""
    with Sandbox() as sandbox:
        giga = GigaChat(
            sandbox.credentials, base_url=sandbox.gigachat_url, auth_url=sandbox.auth_url, slots=8, retries=8, timeout=5
        )
        embedder = giga.embedder()
        calm = embedder.embed_documents([text(n) for n in range(REQUESTS)])
        said = giga.complete([Message("user", text(0))]).text.replace("0000", "{}")
        each = sandbox.stats.tokens["embedding"] // REQUESTS  # all texts are alike
        sandbox.reset()
        chance, lock = random.Random(7), threading.Lock()
        ends: Counter[str] = Counter()
        bills: list[Usage] = []

        def trouble() -> None:
            with lock:
                name = chance.choice(list(FAULTS))
                if chance.random() < 0.3:
                    path = next((p for kind, p in PATHS.items() if kind in FAULTS[name].kinds), None)
                    sandbox.inject(name, 1, path, **SHORT.get(name, {}))

        def one(n: int) -> None:
            trouble()
            with metered() as meter:
                try:
                    end = KINDS[n % len(KINDS)](giga, embedder, n, calm[n], said)
                except ProviderError as error:
                    end = f"{type(error).__name__}: {error.message}"
            with lock:
                ends[end] += 1
                bills.append(meter.usage)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, range(REQUESTS)))
        stats = sandbox.stats
    assert ends.total() == REQUESTS
    assert all(end == "right" or end.partition(": ")[2] for end in ends)
    assert ends["right"] > 0.8 * REQUESTS
    assert set(stats.faults) >= set(FAULTS) - {"oauth-500", "oauth-429", "expires-seconds", "short-token"}
    seen = sum(bill.embedding_tokens for bill in bills)
    assert each * Counter(stats.routes)["POST /embeddings"] >= stats.tokens["embedding"]
    assert 0 <= stats.tokens["embedding"] - seen <= each * sum(stats.faults.get(name, 0) for name in SPOILED)


def text(n: int) -> str:
    return f"Записка {n:04}: ключ у соседа."


def embed(_: GigaChat, embedder: RemoteEmbedder, n: int, calm: np.ndarray, __: str) -> str:
    row = embedder.embed_query(text(n))
    nearness = float(row @ calm / np.linalg.norm(row) / np.linalg.norm(calm))
    assert nearness > 0.97, nearness  # exactly 1, but for a text that was cut because of a 413
    return "right"


def complete(giga: GigaChat, _: RemoteEmbedder, n: int, __: np.ndarray, said: str) -> str:
    answer = giga.complete([Message("user", text(n))])
    assert answer.finish_reason != "stop" or answer.text == said.format(f"{n:04}")
    return "right"


def stream(giga: GigaChat, _: RemoteEmbedder, n: int, __: np.ndarray, said: str) -> str:
    deltas = list(giga.stream([Message("user", text(n))]))
    last = deltas[-1].completion
    assert last
    assert last.text == "".join(delta.text for delta in deltas)
    assert last.finish_reason != "stop" or last.text == said.format(f"{n:04}")
    return "right"


KINDS: tuple[Callable[[GigaChat, RemoteEmbedder, int, np.ndarray, str], str], ...] = (embed, embed, complete, stream)
PATHS = {"embeddings": "/embeddings", "chat": "/chat/completions", "stream": "/chat/completions", "oauth": "/oauth"}
