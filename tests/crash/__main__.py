"""python -m crash [KIND…] [--long]: run the harness and print what it counted; exit 1 where it found a fault."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from math import inf
from pathlib import Path

# How much of each kind: in the tests, and in the long form.
SHORT = {"deaths": 40, "power": 4, "syncs": 2, "faults": 30}
LONG = {"deaths": 1500, "power": 8, "syncs": 80, "faults": 1200}
LONG_ROUNDS = 14  # of losing power at every call of one life
REFUSED = 3  # exit code where the system does not let calls be trapped
_SHOWN = 20  # faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("kinds", nargs="*", help="deaths, power, syncs, faults, mutants; all where none is named")
    parser.add_argument("--long", action="store_true", help="minutes instead of seconds")
    parser.add_argument("--points", type=int, help="places to die at, calls or syncs to fail, or states for each call")
    parser.add_argument("--seconds", type=float, default=inf, help="begin no more of a kind after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--json", action="store_true", help="counts as one line of JSON for each kind")
    arguments = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # threads would be lost in forking
        os.environ[name] = "1"
    return run(arguments)


def run(arguments: argparse.Namespace) -> int:
    from crash.deaths import deaths
    from crash.faults import faults
    from crash.forks import folder
    from crash.mutants import mutants
    from crash.power import failed_syncs, power
    from crash.shim import Shim, compile_shim

    sizes = LONG if arguments.long else SHORT
    failed = False
    with folder() as place:
        warm(place / "warm")
        library = compile_shim(place)
        try:
            shim = Shim(library)
        except OSError as error:  # some containers let nobody trap calls
            sys.stderr.write(f"{error.strerror}\n")
            return REFUSED
        for kind in arguments.kinds or ["deaths", "power", "syncs", "faults", "mutants"]:
            began = time.monotonic()
            some = {"seed": arguments.seed, "jobs": arguments.jobs}
            number = arguments.points or sizes.get(kind, 0)
            if kind == "deaths":
                report = deaths(shim, points=number, seconds=arguments.seconds, **some)
            elif kind == "power":
                rounds = LONG_ROUNDS if arguments.long else 1
                report = power(shim, per_call=number, rounds=rounds, seconds=arguments.seconds, **some)
            elif kind == "syncs":
                report = failed_syncs(shim, points=number, seconds=arguments.seconds, **some)
            elif kind == "faults":
                report = faults(shim, points=number, seconds=arguments.seconds, **some)
            elif kind == "mutants":
                report = mutants(shim, **some)
            else:
                sys.exit(f"there is no {kind!r}")
            failed |= bool(report.faults)
            show(kind, report.plain(), time.monotonic() - began, arguments)
    return int(failed)


def warm(place: Path) -> None:
    """Import what a store imports on its way, once for all children. No thread may be left when it returns."""
    import socket  # noqa: F401 - the lock imports it
    import tempfile  # noqa: F401 - the store imports it
    import uuid  # noqa: F401 - the store imports it

    import faiss  # noqa: F401 - the codes import it

    import ragkit.positions
    import ragkit.store.ann
    import ragkit.store.check
    import ragkit.store.creation  # noqa: F401 - so do all of these
    from ragkit import words

    words.fields("слово word")  # stemmers are made at the first use
    place.mkdir()


def show(kind: str, report: dict[str, object], seconds: float, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"kind": kind, "seed": arguments.seed, "seconds": round(seconds, 1), **report}), flush=True)  # noqa: T201 - its output
        return
    counts, faults = report["counts"], report["faults"]
    assert isinstance(counts, dict)
    assert isinstance(faults, list)
    print(f"{kind}: seed {arguments.seed}, {seconds:.1f} s")  # noqa: T201 - its output
    for name, count in counts.items():
        print(f"  {count:>8} {name}")  # noqa: T201 - its output
    for fault in faults[:_SHOWN]:
        print(f"  ! {fault}")  # noqa: T201 - its output
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
