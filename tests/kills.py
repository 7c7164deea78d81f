"""python -m kills [--count N]: kill -9 the real command N times on one index, and count what was lost or paid twice.

The expected state is kept here, outside the victim: what any reader ever saw, and which texts a service was sent.
Some victims are fresh processes; most are forks of a warm one, that has imported the command and not yet begun it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ragkit.chunking import RecursiveChunker
from ragkit.embedding_run import vector_key
from ragkit.errors import RagkitError
from ragkit.positions import contextual_text
from ragkit.providers.embedding import CANARY
from ragkit.sandbox import Sandbox
from ragkit.sandbox.vectors import embed
from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes

SLOTS, BATCH = 3, 8  # requests at once, texts in each
CHUNK = 200  # characters
SIZES = Sizes(seal=60, kept_unused=40, small=500, most_small=3, dead_words=60)
CODES_FROM = 150  # vectors
WORDS = ["река", "лодка", "берег", "договор", "залог", "срок", "аренда", "склад", "датчик", "warranty", "sensor"]
LOST_UNTIL_MENDED = {"word index", "codes", "files"}  # caches that are behind, a segment that nothing names yet
WORKERS = SLOTS + 2  # threads of the embedder: two decode answers while the others wait for theirs
PER_KILL = (WORKERS + SLOTS) * BATCH  # requests go on, a few ahead, while the run is busy and takes in no answer
FRESH = 0.1  # of the victims are processes of their own
MOMENTS = {"any time": 0.58, "opening": 0.1, "a commit": 0.1, "segments": 0.1, "word index": 0.07, "codes": 0.05}


def serve() -> None:
    """The warm process: for each line of input, fork a child that is the command; say its number, then its end."""
    import faiss  # noqa: F401 - imported for the children

    import ragkit.assembly
    import ragkit.ingest
    import ragkit.loaders.isolation
    import ragkit.providers.gigachat
    import ragkit.store.ann
    import ragkit.store.writer
    import ragkit_cli.main
    from ragkit import words

    words.fields("слово word")  # stemmers are made at the first use
    for line in sys.stdin:
        small, *arguments = line.rstrip("\n").split("\t")
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if small == "small":
                ragkit.assembly.LocalStore = partial(LocalStore, approximate_from=CODES_FROM, sizes=SIZES)  # type: ignore[attr-defined] # a store of other sizes
            sys.argv = ["ragkit", *arguments]
            try:
                ragkit_cli.main.console()
                os._exit(0)
            except SystemExit as end:
                os._exit(end.code if isinstance(end.code, int) else 1)
            finally:
                os._exit(99)
        print(child, flush=True)  # noqa: T201 - said to the parent
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


class Victims:
    """Runs of `ragkit index`, one at a time."""

    def __init__(self, docs: Path, environment: dict[str, str]) -> None:
        self._docs = docs
        self._environment = environment
        command = [sys.executable, "-c", "import kills; kills.serve()"]
        self._warm = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, index: Path, until: Callable[[Callable[[], bool]], None], *, fresh: bool, small: bool = True) -> int:
        """How it ended: its exit code, or -9. `until` waits for the moment to kill, or for the end of the run."""
        arguments = ["index", "-q", "-i", str(index), str(self._docs)]
        if fresh:
            process = subprocess.Popen(
                [sys.executable, "-m", "ragkit_cli", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._environment,
            )
            until(lambda: process.poll() is None)
            process.kill()
            process.communicate()
            return process.returncode
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.stdin.write("\t".join(["small" if small else "usual", *arguments]) + "\n")
        self._warm.stdin.flush()
        victim = int(self._warm.stdout.readline())
        until(lambda: _lives(victim))
        with suppress(ProcessLookupError):  # it came to its end
            os.kill(victim, signal.SIGKILL)
        return int(self._warm.stdout.readline())

    def close(self) -> None:
        assert self._warm.stdin
        self._warm.stdin.close()
        self._warm.wait()
        if self._warm.stdout:
            self._warm.stdout.close()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class Folder:
    """Files that change between runs. `history` is every text that a name ever had, the newest last."""

    def __init__(self, path: Path, files: int, chance: random.Random) -> None:
        path.mkdir()
        self.path = path
        self.chance = chance
        self.history: dict[str, list[str]] = {}
        self.here: set[str] = set()
        self._number = 0
        for _ in range(files):
            self.add()

    def put(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, "utf-8")
        self.history.setdefault(name, []).append(text)
        self.here.add(name)

    def text(self) -> str:
        self._number += 1
        lines = (" ".join(self.chance.choices(WORDS, k=20)) for _ in range(self.chance.randint(1, 8)))
        return "\n\n".join(f"Пункт {self._number}x{n}. {line}." for n, line in enumerate(lines))

    def add(self) -> None:
        self.put(f"{len(self.history):04}.txt", self.text())

    def change(self) -> None:
        """A few files, in one of the ways that files change."""
        for _ in range(self.chance.randint(1, 8)):
            name = self.chance.choice(sorted(self.here))
            what = self.chance.random()
            if what < 0.75:
                self.put(name, self.text())
            elif what < 0.85:
                self.add()
            else:
                (self.path / name).unlink()
                self.here.discard(name)
                if what < 0.93:  # a new name for the same text: nothing is to be paid for it
                    self.put(f"{len(self.history):04}.txt", self.history[name][-1])


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.faults.append(text)


class Ledger:
    """What must hold after every kill."""

    def __init__(self, folder: Folder, index: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.index = index
        self.sandbox = sandbox
        self.tally = Tally()
        self.seen: dict[str, int] = {}  # the newest version of each name that any reader saw
        self.billed: Counter[str] = Counter()
        self.model = ""
        self.before: set[str] = set()  # texts with a vector before the run

    def look(self, when: str) -> None:
        """Read as any reader does, and compare with what was seen before: nothing may be gone, older or strange."""
        if not (self.index / "catalog.sqlite").exists():
            if self.seen:
                self.tally.fault(f"{when}: the index is gone")
            return
        store = LocalStore(self.index)
        try:
            found = {info.source: store.document(info.source).text for info in store.documents() if info.chunks}
            self.model = store.status().embedding_model
        except RagkitError as error:  # between two reads a run may commit: only a dead one is judged
            if when != "alive":
                self.tally.fault(f"{when}: {error}")
            return
        finally:
            store.close()
        for source in self.seen.keys() - found.keys():
            if source in self.folder.here:
                self.tally.fault(f"{when}: {source} was committed and is gone")
            else:
                del self.seen[source]
        for source, text in found.items():
            if text not in self.folder.history.get(source, []):
                self.tally.fault(f"{when}: {source} holds what it never did")
                continue
            version = self.folder.history[source].index(text)
            if version < self.seen.get(source, -1):
                self.tally.fault(f"{when}: {source} is an older version again")
            self.seen[source] = version

    def begin(self) -> None:
        self.sandbox.reset()
        self.before = self.stored(self.billed)

    def stored(self, texts: Counter[str]) -> set[str]:
        if not self.model or not texts:
            return set()
        keys = {vector_key(self.model, text): text for text in texts}
        catalog = Catalog(self.index)
        try:
            return {keys[key] for key in catalog.vectors.ids(keys)}
        finally:
            catalog.close()

    def settle(self, killed: bool, when: str) -> None:
        """What the run was billed: no text that had a vector, and no more than is on its way is lost by a kill."""
        requests = [each for each in self.sandbox.stats.requests if each.path.endswith("/embeddings")]
        sent = Counter(text for each in requests for text in each.body["input"] if text != CANARY)
        self.billed.update(sent)
        again = [text for text in sent if text in self.before]
        if again:
            self.tally.fault(f"{when}: {len(again)} texts were embedded that had a vector: {again[0][:40]!r}")
        lost = sent.total() - len(self.stored(sent))
        self.tally.counts["texts sent"] += sent.total()
        self.tally.counts["texts to be sent again"] += lost
        self.tally.counts["most of them by one kill"] = max(lost, self.tally.counts["most of them by one kill"])
        if lost > (PER_KILL if killed else 0):
            self.tally.fault(f"{when}: {lost} texts that were paid for have no vector")

    def examine(self, when: str) -> None:
        """Every stored byte, every chunk and every vector."""
        if not (self.index / "catalog.sqlite").exists():
            return
        store = LocalStore(self.index)
        try:
            for finding in store.check():
                if not finding.ok and finding.subject not in LOST_UNTIL_MENDED:
                    self.tally.fault(f"{when}: {finding.subject}: {finding.message}")
            if not self.model or self.folder.chance.random() < 0.7:  # a search would mend the word index each time
                return
            self.tally.counts["whole examinations"] += 1
            stored, rows = store.vectors(1 << 40)
            places = Counter((chunk.source, chunk.start, chunk.end) for _, chunk in stored)
            wanted: Counter[tuple[str, int, int]] = Counter()
            for info in store.documents():
                if info.chunks:
                    document = store.document(info.source)
                    cut = RecursiveChunker(size=CHUNK, overlap=0)(document)
                    wanted.update((chunk.source, chunk.start, chunk.end) for chunk in cut)
            if places != wanted:
                self.tally.fault(f"{when}: {len(stored)} chunks are stored, {wanted.total()} should be")
            titles = {info.source: store.document(info.source).title for info in store.documents() if info.chunks}
            for (_, chunk), row in zip(stored, rows, strict=True):
                true = embed(contextual_text(titles[chunk.source], chunk), len(row)).astype(np.float32)
                if float(true @ row) < 0.9999 * float(np.linalg.norm(true)):
                    self.tally.fault(f"{when}: a vector of {chunk.source} is that of another text")
        except RagkitError as error:
            self.tally.fault(f"{when}: {error}")
        finally:
            store.close()


def moment(kind: str, index: Path, chance: random.Random, usual: float) -> Callable[[Callable[[], bool]], None]:
    """What waits until the run is to be killed, or has come to its end."""
    if kind in ("any time", "opening"):
        ends = time.monotonic() + chance.uniform(0, usual if kind == "any time" else usual / 8)
        return lambda lives: _wait(lives, lambda: time.monotonic() >= ends)
    parts = {"segments": "vectors", "word index": "lexical", "codes": "ann"}
    times = chance.randint(1, 12 if kind == "a commit" else 2)

    def state() -> object:
        if kind == "a commit":
            log = index / "catalog.sqlite-wal"
            return log.stat().st_size if log.exists() else 0
        return sorted(path.name for path in (index / parts[kind]).rglob("*"))

    def until(lives: Callable[[], bool]) -> None:
        last, left = _safely(state), times

        def has_come() -> bool:
            nonlocal last, left
            now = _safely(state)
            left -= now != last
            last = now
            return left <= 0

        _wait(lives, has_come)

    return until


def _safely(state: Callable[[], object]) -> object:
    try:
        return state()
    except FileNotFoundError:  # it changes under our eyes
        return None


def _wait(lives: Callable[[], bool], come: Callable[[], bool]) -> None:
    while lives() and not come():
        time.sleep(0.001)


class Cosine(float):
    """Equal to one that differs by no more than float32 rounds: numpy and faiss add up in different orders."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cosine) and abs(self - other) < 1e-6

    __hash__ = None  # type: ignore[assignment] # what is nearly equal has no common one


def content(index: Path, queries: list[str]) -> Iterator[object]:
    """Documents, chunks, and what queries find: by vector with cosines, by word."""
    store = LocalStore(index)
    yield {info.source: store.document(info.source).text for info in store.documents() if info.chunks}
    stored, _ = store.vectors(1 << 40)
    yield sorted((chunk.source, chunk.start, chunk.end, chunk.text) for _, chunk in stored)
    for query in queries:
        vector = embed(query, store.status().dimension).astype(np.float32)
        # By one leg at a time: word scores of texts that are equally good are told apart by when they came.
        hits = store.search("", vector, k=10)
        yield [(hit.chunk.source, hit.chunk.start, Cosine(hit.scores["dense"])) for hit in hits]
        yield {(hit.chunk.source, hit.chunk.start) for hit in store.search(query.split()[1], None, k=1)}
    yield [finding.subject for finding in store.check() if not finding.ok]
    store.close()


def kill_many(place: Path, count: int, *, seed: int = 1, files: int = 40, seconds: float = 1e9) -> Tally:
    """Kill `count` runs, or as many as the seconds allow; then let one come to its end and compare with an unkilled."""
    chance = random.Random(seed)
    folder = Folder(place / "docs", files, chance)
    index = place / "index"
    ends = time.monotonic() + seconds
    with Sandbox(latency=0.01) as sandbox:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGKIT_")}
        environment |= sandbox.environment()
        environment |= {"RAGKIT_PROVIDER": "gigachat", "RAGKIT_SLOTS": str(SLOTS), "RAGKIT_BATCH_ITEMS": str(BATCH)}
        environment |= {"RAGKIT_CHUNK_SIZE": str(CHUNK), "RAGKIT_CHUNK_OVERLAP": "0", "RAGKIT_WORKERS": "1"}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads would be lost in forking
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        victims = Victims(folder.path, environment)
        ledger = Ledger(folder, index, sandbox)
        try:
            usual = _run_whole(victims, place / "first", fresh=False)
            sandbox.reset()
            _kill_loop(victims, ledger, count, ends, usual)
            ledger.begin()
            _run_whole(victims, index, fresh=False)
            ledger.look("the end")
            ledger.settle(False, "the end")
            _run_whole(victims, place / "unkilled", fresh=False)
        finally:
            victims.close()
    queries = [text.split(".")[0] for text in (folder.history[name][-1] for name in sorted(folder.here)[::4])]
    for one, other in zip(content(index, queries), content(place / "unkilled", queries), strict=True):
        if one != other:
            ledger.tally.fault(f"the end differs from an unkilled run: {str(one)[:200]} and {str(other)[:200]}")
    twice = ledger.billed.total() - len(ledger.billed)
    ledger.tally.counts["texts billed more than once"] = twice
    if twice > ledger.tally.counts["texts to be sent again"]:
        ledger.tally.fault(f"{twice} texts were billed again")
    return ledger.tally


def _run_whole(victims: Victims, index: Path, *, fresh: bool) -> float:
    began = time.monotonic()
    code = victims.run(index, lambda lives: _wait(lives, lambda: False), fresh=fresh)
    if code:
        raise RuntimeError(f"an undisturbed run ended with code {code}")
    return time.monotonic() - began


def _kill_loop(victims: Victims, ledger: Ledger, count: int, ends: float, usual: float) -> None:
    chance, counts = ledger.folder.chance, ledger.tally.counts
    while counts["killed"] < count and time.monotonic() < ends and len(ledger.tally.faults) < 10:
        kind = chance.choices(list(MOMENTS), list(MOMENTS.values()))[0]
        fresh = chance.random() < FRESH
        until = moment(kind, ledger.index, chance, usual)

        def watched(lives: Callable[[], bool], until: Callable[[Callable[[], bool]], None] = until) -> None:
            until(lives)
            if chance.random() < 0.3:
                ledger.look("alive")  # what a reader saw must outlive the kill

        ledger.begin()
        began = time.monotonic()
        code = victims.run(ledger.index, watched, fresh=fresh, small=chance.random() < 0.8)
        when = f"after {counts['killed'] + counts['came to its end']} runs, {kind}"
        if code == -signal.SIGKILL:
            counts["killed"] += 1
            counts[f"killed: {kind}"] += 1
            counts["killed: in a process of its own"] += fresh
        elif code:
            ledger.tally.fault(f"{when}: a run ended with code {code}")
        else:
            counts["came to its end"] += 1
            usual = 0.7 * usual + 0.3 * (time.monotonic() - began)
        ledger.look(when)
        ledger.settle(code < 0, when)
        ledger.examine(when)
        if code == 0 or chance.random() < 0.6:
            ledger.folder.change()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kills", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after as many, whatever the count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=40)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ragkit-kills-"))
    began = time.monotonic()
    tally = kill_many(place, arguments.count, seed=arguments.seed, files=arguments.files, seconds=arguments.seconds)
    print(f"seed {arguments.seed}, {time.monotonic() - began:.0f} s")  # noqa: T201 - its output
    for name, number in tally.counts.items():
        print(f"  {number:>8} {name}")  # noqa: T201 - its output
    for fault in tally.faults:
        print(f"  ! {fault}")  # noqa: T201 - its output
    if tally.faults:
        print(f"kept: {place}")  # noqa: T201 - its output
    else:
        shutil.rmtree(place)
    return bool(tally.faults)


if __name__ == "__main__":
    sys.exit(main())
