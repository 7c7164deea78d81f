"""Embedding by a service that answers after 100 ms: what its slots allow, and what each client makes of them.

The server and ragkit's side are those of benchmarks/embedding.py. Peers are called as their pages say, with batches
of the same size; they send one request after another unless told how to do more.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.suite.machine import environment
from benchmarks.suite.rounds import ROOT

BATCH = 16  # of the peers: as in benchmarks/embedding.py


def measure(peers: str, rounds: int, say: Callable[[str], None], *, small: bool = False) -> dict[str, Any]:
    """Seconds over the ideal, (batches / slots) × 100 ms, medians over rounds in turns."""
    sys.path.insert(0, str(ROOT / "benchmarks"))  # its scripts import each other by their bare names
    try:
        from embedding import DIMENSION, LATENCY
        from embedding import WAYS as OURS
        from servers import embeddings, running
    except ImportError as error:
        return {"state": f"not installed: {error}"}
    slots, batches = 16, 32 if small else 96
    texts = [f"lease term key {number}" for number in range(batches * BATCH)]
    ideal = batches / slots * LATENCY
    found: dict[str, Any] = {"slots": slots, "batches": batches, "batch": BATCH, "ideal": ideal, "ways": {}}
    ours = {name if name.startswith("httpx") else f"ragkit, {name}": way for name, way in OURS.items()}
    with running(embeddings(LATENCY, BATCH, DIMENSION)) as server:
        ways: dict[str, Callable[[], float]] = {
            name: partial(way, server.port, slots, texts) for name, way in ours.items()
        }
        ways |= {name: partial(_by_peer, peers, name, server.port, batches) for name in PEERS}
        for turn in range(rounds):
            for name, way in ways.items():
                say(f"embedding: {name}, {turn + 1} of {rounds}")
                here = found["ways"].setdefault(name, {"ratios": []})
                try:
                    here["ratios"].append(way() / ideal)
                except (RuntimeError, OSError) as error:
                    here["state"] = str(error)
    for here in found["ways"].values():
        if here["ratios"]:
            here["median"] = statistics.median(here["ratios"])
    return found


def _by_peer(python: str, name: str, port: int, batches: int) -> float:
    """Seconds, as a process of the peers' environment took them after its imports."""
    command = [python, "-m", "benchmarks.suite.embedding", name, str(port), str(batches)]
    variables = environment(1) | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "key"}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    return float(json.loads(done.stdout.splitlines()[-1]))


def by_openai(url: str) -> Callable[[list[str]], list[list[float]]]:
    import openai

    client = openai.OpenAI(base_url=url, api_key="key")

    def embed(texts: list[str]) -> list[list[float]]:
        rows = []
        for start in range(0, len(texts), BATCH):
            reply = client.embeddings.create(model="Embeddings", input=texts[start : start + BATCH])
            rows += [item.embedding for item in reply.data]
        return rows

    return embed


def by_langchain(url: str) -> Callable[[list[str]], list[list[float]]]:
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(
        model="Embeddings", base_url=url, api_key="key", chunk_size=BATCH, check_embedding_ctx_length=False
    )
    return model.embed_documents


def by_llamaindex(url: str) -> Callable[[list[str]], list[list[float]]]:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding

    model = OpenAILikeEmbedding(model_name="Embeddings", api_base=url, api_key="key", embed_batch_size=BATCH)
    return model.get_text_embedding_batch


PEERS: dict[str, Callable[[str], Callable[[list[str]], list[list[float]]]]] = {
    "openai, one by one": by_openai,
    "langchain OpenAIEmbeddings": by_langchain,
    "llamaindex OpenAILikeEmbedding": by_llamaindex,
}


def main() -> None:
    name, port, batches = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    texts = [f"lease term key {number}" for number in range(batches * BATCH)]
    embed = PEERS[name](f"http://127.0.0.1:{port}/v1")
    embed(texts[:1])
    began = time.perf_counter()
    rows = embed(texts)
    taken = time.perf_counter() - began
    if len(rows) != len(texts):
        raise RuntimeError(f"{len(rows)} rows for {len(texts)} texts")
    print(taken)


if __name__ == "__main__":
    main()
