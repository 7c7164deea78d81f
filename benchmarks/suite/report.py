"""What was measured as Markdown, and the table of README.md between its two markers. It measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.suite.figures import GOOD, Asked, Figures, read
from benchmarks.suite.targets import Target, of_the_suite

BEGIN, END = "<!-- benchmarks: python -m benchmarks.suite --report -->", "<!-- end of benchmarks -->"
ELSEWHERE = (
    "Those at a million are in [growth.md](growth.md); `python benchmarks/startup.py` compares a cold search with the "
    "imports that it cannot do without."
)
FILTERS = {"half": "50 %", "hundredth": "1 %", "rare": "0.01 %"}


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
        write_growth(results)


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
    figures = read(measured.get("engines", {}))
    blocks = [
        "# ragkit beside the limit and its peers",
        conditions(measured),
        "Written by `python -m benchmarks.suite`; [README](../README.md) says how each engine is used and judged.",
    ]
    if figures:
        blocks += ["![](suite.png)", "## Targets", targets(of_the_suite(measured, figures)), ELSEWHERE]
        blocks += ["## Searches", searches(figures)]
        blocks += ["## Building, opening, holding", building(figures, least(measured))]
        blocks += ["## Changes", changing(figures), "## How each was used", used(figures)]
    if "shell" in measured:
        blocks += ["## Whole commands", shell(measured["shell"])]
    if "ingest" in measured:
        blocks += ["## PDFs and docx to an index", ingest(measured["ingest"])]
    if "embedding" in measured:
        blocks += ["## Embedding by a service that takes 100 ms", embedding(measured["embedding"])]
    return "\n\n".join(blocks) + "\n"


def conditions(measured: dict[str, Any]) -> str:
    """What was measured, and on what."""
    machine, given = measured["machine"], measured["given"]
    return (
        f"{given['rows']:,} {given['kind']} vectors of {given['dimension']} float32, each with a text of 300 to 800 "
        f"characters and three fields of metadata. {machine['date']}, {machine['processor']}, {machine['cores']} "
        f"cores, {machine['memory_gb']:.0f} GB, {machine['system']}, Python {machine['python']}; {machine['threads']} "
        f"{'thread' if machine['threads'] == 1 else 'threads'} for each process; load at the beginning "
        f"{machine['load']}. Read ratios rather than milliseconds."
    )


def least(measured: dict[str, Any]) -> int:
    """Bytes of the vectors in float16 and of the texts in UTF-8."""
    given = measured["given"]
    return int(given["rows"] * given["dimension"] * 2 + given["text_bytes"])


def targets(found: list[Target]) -> str:
    rows = [[each.what, each.wanted, each.measured, "yes" if each.met else "**no**"] for each in found]
    return table(["what", "target", "measured", "met"], rows)


def searches(figures: list[Figures]) -> str:
    """Time and rightness side by side."""
    rows = []
    for each in figures:
        every = each.asked.get("all")
        if each.state or not every:
            rows.append([each.name, each.state or "not measured", *[""] * 7])
            continue
        whole = "yes" if each.complete else "no" if each.role != "limit" else "none kept"
        right = "–" if each.words else share(every.right)
        row = [each.name, ms(every.p50), ms(every.p99), ms(every.cpu), ratio(every.ratio), right, whole]
        rows.append([*row, *(filtered(each.asked.get(field), words=each.words) for field in FILTERS)])
    head = ["engine", "p50 ms", "p99 ms", "CPU ms", "× limit", "recall@10", "text, metadata"]
    note = (
        "The limit is the faster of numpy and faiss, which keep nothing but vectors. Filtered: median ms, times the "
        "engine's own unfiltered, and the share of the hits that are right, of all that should have come."
    )
    return table([*head, *(f"filtered {name}" for name in FILTERS.values())], rows) + "\n\n" + note


def building(figures: list[Figures], smallest: int) -> str:
    rows = []
    for each in figures:
        if each.state:
            rows.append([each.name, each.state, *[""] * 7])
            continue
        taken = [number(each.build, 1), number(each.build_cpu, 1), number(each.first, 2), number(each.first_cpu, 2)]
        held = [mb(each.own), mb(each.mapped), mb(each.peak), mb(each.disk)]
        rows.append([each.name, *taken, *held, f"{each.disk / smallest:.2f}" if each.disk else ""])
    head = ["engine", "build s", "CPU s", "first hit s", "CPU s", "memory MB", "mapped MB", "peak of build MB"]
    note = (
        "First hit: from the start of a process, imports included. Memory: of a process after its searches, "
        "without the mapped files, which stand beside it. The last column is the disk over vectors in float16 and "
        f"texts in UTF-8, {smallest / 1e6:,.0f} MB."
    )
    return table([*head, "disk MB", "× least"], rows) + "\n\n" + note


def changing(figures: list[Figures]) -> str:
    rows = []
    for each in figures:
        if each.delete is None or not each.build:
            if each.unchangeable:
                rows.append([each.name, each.unchangeable, "", "", "", ""])
            continue
        part = f"{100 * (each.replace or 0) / each.build:.2f} %" if each.role != "limit" else ""
        taken = [number(each.delete, 2), number(each.add, 2), number(each.replace, 3), part]
        rows.append([each.name, *taken, share(each.after or 0)])
    note = (
        "Each until it is durable, in a process that had searched once; one document changes three times, of which "
        "this is the median. Recall@10 is that of searches afterwards."
    )
    head = ["engine", "delete 1 % s", "add 1 % s", "change one s", "of the build", "recall@10 after"]
    return table(head, rows) + "\n\n" + note


def used(figures: list[Figures]) -> str:
    rows = []
    for each in figures:
        versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
        rows.append([each.name, versions, each.note])
    return table(["engine", "versions", "used as"], rows)


def shell(found: dict[str, Any]) -> str:
    rows = [[f"`{name}`", number(seconds, 2)] for name, seconds in found["seconds"].items()]
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
        kept = f"{way['kept']:.1%}"
        rows.append(
            [name, number(seconds, 1), number(cpu, 1), number(found["pages"] / cpu, 0), str(way["chunks"]), kept]
        )
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
        rows.append([name, f"{way['median']:.2f}" if "median" in way else way.get("state", "not measured")])
    note = (
        f"{found['batches']} batches of {found['batch']} texts, {found['slots']} slots: ideal {found['ideal']:.1f} s. "
        "Clients that send one request after another use one slot."
    )
    return table(["client", "time / ideal"], rows) + "\n\n" + note


def short(measured: dict[str, Any]) -> str:
    """For README.md: one line an engine."""
    rows = []
    for each in read(measured.get("engines", {})):
        every, one = each.asked.get("all"), each.asked.get("hundredth")
        if each.state or not every or each.name in ("ragkit-metadata", "langchain-faiss-all"):
            if each.state:
                rows.append([each.name, each.state, *[""] * 6])
            continue
        name = f"**{each.name}**" if each.role == "ragkit" else each.name
        right = "–" if each.words else share(every.right)
        row = [name, number(each.build, 1), number(each.first, 2), ms(every.p50), ratio(every.ratio), right]
        rows.append([*row, filtered(one, words=each.words), mb(each.own), mb(each.disk)])
    head = [
        "engine",
        "build s",
        "first hit s",
        "query ms",
        "× limit",
        "recall@10",
        "filtered 1 %",
        "memory MB",
        "disk MB",
    ]
    return table(head, rows)


def _into_readme(readme: Path, measured: dict[str, Any]) -> None:
    """Between the markers, which are left as they are; nothing where there are none."""
    text = readme.read_text("utf-8")
    if BEGIN not in text or END not in text:
        print(f"{readme} has no place for the table: {BEGIN}")
        return
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n{conditions(measured)}\n\n{short(measured)}\n{END}{after}", "utf-8")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([*row, *[""] * (len(head) - len(row))][: len(head)] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def filtered(asked: Asked | None, *, words: bool = False) -> str:
    if asked is None or asked.unsupported:
        return "not supported" if asked else ""
    over = f", {asked.ratio:.2g}×" if asked.ratio else ""
    return f"{ms(asked.p50)}{over}" + ("" if words else f", right {share(asked.right)}")


def share(value: float) -> str:
    """Wrong answers stand out. Rounded down, so that 1.000 is all of them."""
    shown = f"{int(value * 1000) / 1000:.3f}"
    return shown if value >= GOOD else f"**{shown}**"


def ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def ratio(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else ""


def number(value: float | None, digits: int) -> str:
    return f"{value:,.{digits}f}" if value is not None else ""


def mb(value: int | None) -> str:
    return f"{value / 1e6:,.0f}" if value is not None else ""
