"""What was measured as Markdown, and the table of README.md between its two markers. It measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.suite.columns import (
    APART,
    BASE,
    CHANGES,
    DURABLE,
    FIRST,
    HOLDING,
    MEMORY,
    RATIOS,
    RIGHT,
    SEARCHES,
    SHORT,
    of_engines,
)
from benchmarks.suite.engines import FOR_GROWTH
from benchmarks.suite.figures import Figures, least, read
from benchmarks.suite.formats import number, percent, table, times
from benchmarks.suite.targets import Target, of_the_suite

BEGIN, END = "<!-- benchmarks: python -m benchmarks.suite --report -->", "<!-- end of benchmarks -->"
ELSEWHERE = (
    "Those at a million are in [growth.md](growth.md); `python benchmarks/startup.py` compares a cold search with the "
    "imports that it cannot do without."
)


def write(results: Path, *, readme: Path | None = None, plots: bool = True) -> None:
    """suite.md and suite.png from suite.json, growth.md and growth.png from growth.json, where there are these."""
    from benchmarks.suite.growing import write_growth

    if (results / "suite.json").exists():
        measured = json.loads((results / "suite.json").read_text("utf-8"))
        (results / "suite.md").write_text(page(measured), "utf-8")
        if plots:
            _draw(measured, results / "suite.png")
        if readme:
            _into_readme(readme, measured)
    if (results / "growth.json").exists():
        write_growth(results, plots=plots)


def _draw(measured: dict[str, Any], path: Path) -> None:
    try:
        from benchmarks.suite.drawing import draw
    except ImportError as error:
        print(f"no plot: {error}; install the extra: pip install '.[plots]'")
        return
    if "engines" in measured:
        draw(measured, path)


def page(measured: dict[str, Any]) -> str:
    """The whole page."""
    figures = read(measured)
    blocks = [
        "# ragkit beside the limit and its peers",
        conditions(measured),
        "Written by `python -m benchmarks.suite`; [README](../README.md) says how each engine is used and judged.",
    ]
    if figures:
        blocks += ["![](suite.png)", "## Targets", targets(of_the_suite(figures)), ELSEWHERE]
        blocks += ["## Searches", of_engines(figures, SEARCHES), RATIOS, RIGHT]
        here = sum(not each.state for each in figures)
        blocks += [APART.format(page="growth.md", here=here, there=len(FOR_GROWTH))]
        smallest = f"Least: vectors in float16 and texts in UTF-8, {least(measured['given']) / 1e6:,.0f} MB."
        blocks += ["## Building, opening, holding", of_engines(figures, HOLDING), f"{FIRST} {MEMORY} {smallest} {BASE}"]
        changed = [each for each in figures if each.state or each.delete is not None or each.unchangeable]
        blocks += ["## Changes", of_engines(changed, CHANGES), DURABLE]
        blocks += ["## How each was used", used(figures)]
    for part, (title, shown) in PARTS.items():
        if part in measured:
            blocks += [f"## {title}", shown(measured[part])]
            blocks += _another_day(measured["machine"], measured[part].get("machine"))
    return "\n\n".join(blocks) + "\n"


def _another_day(machine: dict[str, Any], own: dict[str, Any] | None) -> list[str]:
    """For a part that was not measured together with the engines."""
    if own is None or own == machine:
        return []
    return [f"Measured by itself: {own['date']}, load at the beginning {own['load']}."]


def conditions(measured: dict[str, Any]) -> str:
    """What was measured, and on what."""
    machine, given = measured["machine"], measured["given"]
    return (
        f"{given['rows']:,} {given['kind']} vectors of {given['dimension']} float32, each with a text of 300 to 800 "
        f"characters and four fields of metadata. {machine['date']}, {machine['processor']}, {machine['cores']} "
        f"cores, {machine['memory_gb']:.0f} GB, {machine['system']}, Python {machine['python']}; {machine['threads']} "
        f"{'thread' if machine['threads'] == 1 else 'threads'} for each process; load at the beginning "
        f"{machine['load']}. Read ratios rather than milliseconds."
    )


def targets(found: list[Target]) -> str:
    rows = [[each.what, each.wanted, each.measured, "yes" if each.met else "**no**"] for each in found]
    return table(["what", "target", "measured", "met"], rows)


def used(figures: list[Figures]) -> str:
    rows = []
    for each in figures:
        versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
        rows.append([each.name, versions, each.note])
    return table(["engine", "versions", "used as"], rows)


def shell(found: dict[str, Any]) -> str:
    rows = [[f"`{name}`", number(seconds)] for name, seconds in found["seconds"].items()]
    rows += [[f"`{name}`", state] for name, state in found["state"].items()]
    note = (
        f"{found['rows']:,} texts. `llm similar` compares the vector of one stored text with all others; "
        "`ragkit search` has a question. What of `ragkit`'s time is its imports: `python benchmarks/startup.py`."
    )
    return table(["command", "median s"], rows) + "\n\n" + note


def ingest(found: dict[str, Any]) -> str:
    rows = []
    for name, way in found["ways"].items():
        if not way["seconds"]:
            rows.append([name, way.get("state", "not measured"), "", "", "", ""])
            continue
        seconds, cpu = sorted(way["seconds"])[len(way["seconds"]) // 2], sorted(way["cpu"])[len(way["cpu"]) // 2]
        kept = percent(way["kept"])
        rows.append([name, number(seconds), number(cpu), number(found["pages"] / cpu), str(way["chunks"]), kept])
    note = (
        f"{found['pdf']} PDFs with {found['pages']} pages and {found['docx']} docx, imports included; embedding costs "
        "nothing. Kept: words that stand on one page or in one paragraph only, and are in what was indexed."
    )
    return table(["way", "s", "CPU s", "pages / CPU s", "chunks", "kept"], rows) + "\n\n" + note


def embedding(found: dict[str, Any]) -> str:
    if "state" in found:
        return str(found["state"])
    rows = []
    for name, way in found["ways"].items():
        rows.append([name, times(way["median"]) if "median" in way else way.get("state", "not measured")])
    note = (
        f"{found['batches']} batches of {found['batch']} texts, {found['slots']} slots: ideal "
        f"{number(found['ideal'])} s. Clients that send one request after another use one slot."
    )
    return table(["client", "time / ideal"], rows) + "\n\n" + note


PARTS = {
    "shell": ("Whole commands", shell),
    "ingest": ("PDFs and docx to an index", ingest),
    "embedding": ("Embedding by a service that takes 100 ms", embedding),
}


def short(measured: dict[str, Any]) -> str:
    """For README.md: the same engines, fewer columns."""
    return "\n\n".join([of_engines(read(measured), SHORT), f"{RATIOS} {RIGHT}", f"{FIRST} {MEMORY} {BASE}"])


def _into_readme(readme: Path, measured: dict[str, Any]) -> None:
    """Between the markers, which are left as they are; nothing where there are none."""
    text = readme.read_text("utf-8")
    if BEGIN not in text or END not in text:
        print(f"{readme} has no place for the table: {BEGIN}")
        return
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n{conditions(measured)}\n\n{short(measured)}\n{END}{after}", "utf-8")
