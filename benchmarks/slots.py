"""How near the slots come to the limit of a service that tells it by 429 alone.

A server in a process of its own answers 1, 3 or 10 requests for embeddings at once, after 100 ms each, and refuses
what is above that at once. Compared in one run, interleaved: `RemoteEmbedder` with 16 slots that have to find the
limit, and with exactly as many as the service takes. A goal is at most 3 % of refusals, and 1.05 of the time.

    python benchmarks/slots.py
"""

from __future__ import annotations

import argparse
import statistics
import time

from servers import limited, running

from ragkit.providers.openai import OpenAICompatible

LATENCY = 0.1


def embed(port: int, limit: int, slots: int, requests: int) -> float:
    service = OpenAICompatible(f"http://127.0.0.1:{port}/{limit}", slots=slots, retries=20)
    embedder = service.embedder("m", batch_items=1)
    began = time.perf_counter()
    rows = embedder.embed_documents([f"text {n}" for n in range(requests)])
    seconds = time.perf_counter() - began
    service.close()
    assert len(rows) == requests
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limits", type=int, nargs="+", default=[1, 3, 10])
    arguments = parser.parse_args()
    with running(limited(LATENCY)) as server:
        print(f"{'limit':>5} {'refused':>18} {'time / best':>18}")
        for limit in arguments.limits:
            shares, ratios = [], []
            for _ in range(arguments.rounds):
                taken = {}
                for slots in (16, limit):
                    taken[slots] = embed(server.port, limit, slots, arguments.requests)
                    asked, refused = server.counts()
                    if slots == 16:
                        shares.append(refused / asked)
                ratios.append(taken[16] / taken[limit])
            shown = f"{statistics.median(shares):.1%} ({min(shares):.1%}-{max(shares):.1%})"
            times = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
            print(f"{limit:>5} {shown:>18} {times:>18}", flush=True)


if __name__ == "__main__":
    main()
