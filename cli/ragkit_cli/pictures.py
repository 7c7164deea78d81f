"""map, and the plot of eval: pictures as a page of HTML that needs nothing, or as PNG."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError
from ragkit.numbers import count
from ragkit_cli.exits import DONE
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings
from ragkit_cli.render import near_path, out, out_json, say
from ragkit_cli.saving import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragkit.evaluation.sets import TestSet
    from ragkit_cli.verdicts import Run

_HITS = 10
_PICTURES = (".html", ".png")


@click.command("map")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), required=True, help="A .html, or a .png.")
@click.option("--query", metavar="TEXT", help="Mark a query and its hits.")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(1, 100), help="Hits to mark; 10.")
@click.option("--most", metavar="N", type=click.IntRange(1, 100_000), help="Passages to draw; 5000.")
@index_option
@json_option
@quiet_option
def map_command(
    output: str,
    query: str | None,
    limit: int | None,
    most: int | None,
    index: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit map -o map.html
    ragkit map -o map.html --query "возврат залога"

    Draw the index: every passage a dot, coloured by document, those with like vectors near each other. A page of
    HTML shows each passage's place and words under the pointer; it needs no network and runs no script.
    """
    from ragkit.evaluation.mapping import MOST_POINTS

    check_picture(output)
    chosen = settings(index=index)
    with open_index(chosen) as rag:
        drawn = rag.map(query or "", limit or _HITS, most=most or MOST_POINTS)
    title = f"Map of {near_path(str(chosen.index))}"
    if output.lower().endswith(".png"):
        from ragkit.evaluation.png import map_png

        map_png(output, drawn, title)
    else:
        from ragkit.evaluation.map_html import map_page

        save(Path(output), map_page(drawn, title).encode())
    if as_json:
        out_json(
            "map",
            {
                "path": output,
                "points": len(drawn.points),
                "chunks": drawn.chunks,
                "documents": drawn.documents,
                "explained": list(drawn.explained),
                "query": drawn.query,
                "hits": [point.id for point in sorted(drawn.points, key=lambda point: point.hit) if point.hit],
            },
        )
        return DONE
    out(near_path(output))
    from ragkit.evaluation.drawing import told

    say(told(drawn), quiet=quiet)
    return DONE


def check_picture(path: str | None) -> None:
    """Refuse a picture that could not be drawn before the work for it is done."""
    if path is None:
        return
    if not path.lower().endswith(_PICTURES):
        raise ConfigError(f"{path} is to be drawn", f"name a file that ends in {' or '.join(_PICTURES)}")
    check_folder(path)
    if path.lower().endswith(".png"):
        from ragkit.evaluation.png import check_png

        check_png()


def check_folder(path: str) -> None:
    """Refuse a file that could not be written before the work for it is done."""
    place = Path(path).absolute()
    if place.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file")
    if not place.parent.is_dir():
        raise ConfigError(f"the folder of {path} does not exist", "make it, or name another")
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written", "name a file in a folder of your own")


def draw_curves(path: str, runs: Sequence[Run], chosen: TestSet, k: int) -> None:
    """Recall of every run at each k."""
    from ragkit.evaluation import judgements
    from ragkit.evaluation.drawing import curves
    from ragkit_cli.verdicts import rows_of

    found = [run.found for run in runs if run.found]
    _, qrels = judgements(chosen.questions)
    drawn = curves(found, qrels, k)
    title = f"Recall by k: {chosen.name}"
    about = f"Means of {count(len(found[0].queries), 'question')}; the bands are 95 % intervals (bootstrap)."
    if path.lower().endswith(".png"):
        from ragkit.evaluation.png import curves_png

        curves_png(path, drawn, title, about)
    else:
        from ragkit.evaluation.curves_html import curves_page

        save(Path(path), curves_page(drawn, title, about, rows_of(runs)).encode())
