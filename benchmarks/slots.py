"""How near the slots come to the limit of a service that tells it by 429 alone.

A server in a process of its own answers 1, 3 or 10 requests for embeddings at once, after 100 ms each, and refuses
what is above that at once. Compared in one run, interleaved: `RemoteEmbedder` with 16 slots that have to find the
limit, and with exactly as many as the service takes. A goal is at most 3 % of refusals, and 1.05 of the time.

    python benchmarks/slots.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

from ragkit.providers.openai import OpenAICompatible

LATENCY = 0.1
BODY = json.dumps({"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0], "usage": {"prompt_tokens": 7}}]}).encode()
BUSY = json.dumps({"status": 429, "message": "Too many requests"}).encode()


def serve(pipe: Connection) -> None:
    """The path of a request begins with the limit. Gives counts of asked and refused through the pipe, when asked."""
    inside: dict[int, int] = {}
    counts = [0, 0]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.split(b"\r\n")
                limit = int(lines[0].split(b" ")[1].split(b"/")[1])
                length = next(int(line[15:]) for line in lines if line[:15].lower() == b"content-length:")
                await reader.readexactly(length)
                counts[0] += 1
                if inside.get(limit, 0) >= limit:
                    counts[1] += 1
                    answer = b"HTTP/1.1 429 X\r\nContent-Length: %d\r\n\r\n%b" % (len(BUSY), BUSY)
                else:
                    inside[limit] = inside.get(limit, 0) + 1
                    await asyncio.sleep(LATENCY)
                    inside[limit] -= 1
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            while not pipe.poll():
                await asyncio.sleep(0.01)
            if pipe.recv() is None:
                return
            pipe.send(tuple(counts))
            counts[:] = [0, 0]

    asyncio.run(run())


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
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    server.start()
    port = near.recv()
    print(f"{'limit':>5} {'refused':>18} {'time / best':>18}")
    for limit in arguments.limits:
        shares, ratios = [], []
        for _ in range(arguments.rounds):
            taken = {}
            for slots in (16, limit):
                near.send(slots)
                near.recv()  # counts start anew
                taken[slots] = embed(port, limit, slots, arguments.requests)
                near.send(slots)
                asked, refused = near.recv()
                if slots == 16:
                    shares.append(refused / asked)
            ratios.append(taken[16] / taken[limit])
        shown = f"{statistics.median(shares):.1%} ({min(shares):.1%}-{max(shares):.1%})"
        times = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
        print(f"{limit:>5} {shown:>18} {times:>18}", flush=True)
    near.send(None)
    server.join()


if __name__ == "__main__":
    main()
