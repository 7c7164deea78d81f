"""python -m hostile [--count N] [--seed N] [--given FOLDER]: index thousands of damaged files and count outcomes.

Exit code 1 where a run failed, hung, swelled, left a file without its one outcome or stored what cannot be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hostile.mutants import mutants
from hostile.special import make_special

GIVEN = Path(__file__).parents[2].parent / "shared" / "data" / "hostile"
LONGEST = 25.0  # seconds of processor time for one document, which a busy machine gives in more seconds of the day
LONGEST_BY_THE_CLOCK = 70.0
MOST_GROWTH = 100.0  # MiB
AT_ONCE = 500  # mutants in one folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--given", type=Path, default=GIVEN, help="a folder of hostile files; passed over if missing")
    parser.add_argument("--json", action="store_true", help="one line of JSON and no table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = list(_all(arguments, Path(place)))
    sys.stdout.write(json.dumps(rows) if arguments.json else "".join(map(_shown, rows)))
    return 1 if any(row["faults"] for row in rows) else 0


def _shown(row: dict[str, Any]) -> str:
    (slow, seconds), (dear, cpu) = row["slowest"], row["costliest"]
    head = (
        f"{row['name']:13} {row['files']:5} files  slowest {seconds:5.2f} s ({slow!r}), of CPU {cpu:5.2f} s ({dear!r})"
    )
    head += f"  main process grew by {row['grown']:.1f} MiB"
    outcomes = ", ".join(f"{name} {count}" for name, count in Counter(row["outcomes"]).most_common())
    faults = "".join(f"    FAULT {fault}\n" for fault in row["faults"])
    return f"{head}  all {row['cpu']:.0f} s of CPU\n    {outcomes}\n{faults}"


def _all(arguments: argparse.Namespace, place: Path) -> list[dict[str, Any]]:
    rows = []
    made = mutants(arguments.seed, arguments.count)
    for first in range(0, arguments.count, AT_ONCE):
        folder = place / f"mutants{first}"
        folder.mkdir()
        for _, (name, data) in zip(range(AT_ONCE), made, strict=False):
            (folder / name).write_bytes(data)
        rows.append(measured(f"mutants {first}", folder, place))
    special = place / "special" / "docs"
    special.mkdir(parents=True)
    indexed, named = make_special(special)
    rows.append(measured("special files", special, place, {**dict.fromkeys(indexed, "new"), **named}))
    if arguments.given.is_dir():
        rows.append(measured("given files", arguments.given, place))
    return rows


def measured(name: str, folder: Path, place: Path, expected: dict[str, str] | None = None) -> dict[str, Any]:
    """Index the folder in a process of its own. `expected` names sources with their outcome; else all files are."""
    index = place / f"index of {name}"
    program = [sys.executable, "-c", _RUN.format(path=[path for path in sys.path if path]), str(folder), str(index)]
    done = subprocess.run(program, capture_output=True, timeout=3600, stdin=subprocess.DEVNULL)
    faults = []
    if done.returncode:
        faults.append(f"the process ended with {done.returncode}: {done.stderr.decode(errors='replace')[-1000:]}")
        return {
            "name": name,
            "files": 0,
            "slowest": ["", 0.0],
            "costliest": ["", 0.0],
            "grown": 0.0,
            "cpu": 0.0,
            "outcomes": {},
            "faults": faults,
        }
    result = json.loads(done.stdout)
    files: dict[str, list[str]] = result["files"]
    if expected is None:
        expected = {path.relative_to(folder).as_posix(): "" for path in folder.rglob("*") if path.is_file()}
    faults += [result["failure"]] if result["failure"] else []
    faults += [f"{source}: {outcomes}" for source, outcomes in files.items() if len(outcomes) != 1]
    faults += [f"no outcome for {source!r}" for source in expected.keys() - files.keys()][:20]
    faults += [f"an outcome for {source!r}" for source in files.keys() - expected.keys()][:20]
    faults += [
        f"{source!r}: {files[source]}, not {code}"
        for source, code in expected.items()
        if source in files and code not in files[source][0].split(" ")[-1]
    ]
    faults += [f"cost {result['costliest']} s"] if result["costliest"][1] > LONGEST else []
    faults += [f"took {result['slowest']} s"] if result["slowest"][1] > LONGEST_BY_THE_CLOCK else []
    faults += [f"grew by {result['grown']} MiB"] if result["grown"] > MOST_GROWTH else []
    faults += result["unclean"] + result["unsound"]
    outcomes = Counter(outcome for each in files.values() for outcome in each)
    return {
        "name": name,
        "files": len(files),
        "slowest": result["slowest"],
        "costliest": result["costliest"],
        "grown": result["grown"],
        "cpu": result["cpu"],
        "outcomes": dict(outcomes),
        "faults": faults,
    }


_RUN = "import sys; sys.path[:0] = {path!r}; from hostile.runs import main; main()"

if __name__ == "__main__":
    sys.exit(main())
