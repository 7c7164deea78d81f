"""The map of an index as a page of HTML with a picture in SVG: a dot for each passage, a ring for each hit.

Tooltips and the picking out of one document need no script.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragkit.evaluation.drawing import FAINT, INK, Group, grouped, labels, told
from ragkit.evaluation.mapping import Map, Point
from ragkit.evaluation.page import page, shortened, table, text
from ragkit.types import Chunk

_WIDTH, _HEIGHT = 960, 620
_EDGE = 28
_LABEL = (22.0, 17.0)  # of a hit's number
_TEXT = 160  # characters of a passage in its tooltip, and in the table of hits
_FONT = 'font-family="system-ui, Roboto, Arial, sans-serif"'


def map_page(drawn: Map, title: str) -> str:
    """The page: the picture, its key, and the hits as a table."""
    groups = grouped(drawn.points)
    body = f"{map_svg(drawn, groups)}\n{_key(groups)}"
    hits = sorted((point for point in drawn.points if point.hit), key=lambda point: point.hit)
    if hits:
        head = ("", "where", "passage")
        rows = [(f"{point.hit}", where(point.chunk), shortened(point.chunk.text, _TEXT)) for point in hits]
        body += "\n" + table([head, *rows])
    heading = f"{title}: “{drawn.query}”" if drawn.query else title
    about = told(drawn) + (" The diamond is the query, the rings are its hits in their order." if drawn.query else "")
    return page(shortened(heading, 200), about, body, style=_style(len(groups)))


def where(chunk: Chunk) -> str:
    """lease.pdf, page 2, line 14 › Deposit"""
    place = f"page {chunk.page}, line {chunk.line}" if chunk.page is not None else f"line {chunk.line}"
    return f"{chunk.source}, {place}" + (f" · {chunk.heading}" if chunk.heading else "")


def map_svg(drawn: Map, groups: Sequence[Group]) -> str:
    """The picture alone."""
    put = _Scale(drawn)
    radius = 5.0 if len(drawn.points) <= 300 else 3.6 if len(drawn.points) <= 1500 else 2.6
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Map of the index"'
        f' xmlns="http://www.w3.org/2000/svg" {_FONT} font-size="13">',
        f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" fill="#fcfcfc" stroke="#e4e4e4"/>',
    ]
    for number, group in reversed(list(enumerate(groups))):  # the grey ones below
        parts.append(f'<g class="g{number}" fill="{group.colour}" fill-opacity="0.75">')
        parts += [_dot(point, *put(point.x, point.y), radius) for point in group.points]
        parts.append("</g>")
    parts += _found(drawn, put, radius)
    return "\n".join([*parts, "</svg>"])


class _Scale:
    """The coordinates of a map in those of the picture, both axes alike, so that distances keep their meaning."""

    def __init__(self, drawn: Map) -> None:
        xs = [point.x for point in drawn.points] + ([drawn.at[0]] if drawn.at else [])
        ys = [point.y for point in drawn.points] + ([drawn.at[1]] if drawn.at else [])
        self._x = (min(xs, default=0.0) + max(xs, default=0.0)) / 2
        self._y = (min(ys, default=0.0) + max(ys, default=0.0)) / 2
        wide, high = max(xs, default=0.0) - min(xs, default=0.0), max(ys, default=0.0) - min(ys, default=0.0)
        fits = [room / size for room, size in ((_WIDTH - 2 * _EDGE, wide), (_HEIGHT - 2 * _EDGE, high)) if size > 0]
        self._by = min(fits, default=1.0)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return _WIDTH / 2 + (x - self._x) * self._by, _HEIGHT / 2 - (y - self._y) * self._by


def _dot(point: Point, x: float, y: float, radius: float) -> str:
    tip = f"{where(point.chunk)}\n{shortened(point.chunk.text, _TEXT)}"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{text(tip)}</title></circle>'


def _found(drawn: Map, put: _Scale, radius: float) -> list[str]:
    """Rings with numbers, and the query as a diamond."""
    hits = sorted((point for point in drawn.points if point.hit), key=lambda point: point.hit)
    places = [put(point.x, point.y) for point in hits]
    query = put(*drawn.at) if drawn.at else None
    taken = [(*query, 14.0)] if query else []
    parts = []
    if query:
        x, y = query
        parts.append(
            f'<path d="M{x:.1f} {y - 11:.1f}L{x + 11:.1f} {y:.1f}L{x:.1f} {y + 11:.1f}L{x - 11:.1f} {y:.1f}Z"'
            f' fill="{INK}" stroke="#fff" stroke-width="2"><title>{text(shortened(drawn.query, _TEXT))}</title></path>'
        )
    boxes = labels(places, _LABEL, (2, 2, _WIDTH - 2, _HEIGHT - 2), taken=taken, near=20.0)
    for (x, y), (lx, ly) in zip(places, boxes, strict=True):
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{lx:.1f}" y2="{ly:.1f}" stroke="{FAINT}"/>')
    for point, (x, y), (lx, ly) in zip(hits, places, boxes, strict=True):
        tip = text(f"{point.hit}. {where(point.chunk)}\n{shortened(point.chunk.text, _TEXT)}")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius + 3.5}" fill="none" stroke="#fff" stroke-width="4"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius + 3.5}" fill="none" pointer-events="all" stroke="{INK}"'
            f' stroke-width="1.8"><title>{tip}</title></circle>'
            f'<rect x="{lx - _LABEL[0] / 2:.1f}" y="{ly - _LABEL[1] / 2:.1f}" width="{_LABEL[0]}" height="{_LABEL[1]}"'
            f' rx="4" fill="#fff" stroke="{INK}" stroke-width="0.8"/>'
            f'<text x="{lx:.1f}" y="{ly + 4.5:.1f}" text-anchor="middle" fill="{INK}">{point.hit}</text>'
        )
    return parts


def _key(groups: Sequence[Group]) -> str:
    """What each colour means; pointing at a line of it, or going there by the keyboard, fades all others."""
    entries = [
        f'<li class="k{number}" tabindex="0"><span style="background:{group.colour}"></span>'
        f"<div>{text(group.name)} <small>{_passages(len(group.points))}</small></div></li>"
        for number, group in enumerate(groups)
    ]
    return '<ul class="key">\n' + "\n".join(entries) + "\n</ul>"


def _passages(n: int) -> str:
    return f"{n} passage{'s' * (n != 1)}"


def _style(groups: int) -> str:
    fade = "\n".join(f"body:has(.k{i}:is(:hover, :focus)) svg g:not(.g{i}) {{ opacity: .08; }}" for i in range(groups))
    return f"""
ul.key {{ list-style: none; padding: 0; margin: .8rem 0; columns: 3 16rem; }}
ul.key li {{ display: flex; padding: .1rem 0; break-inside: avoid; overflow-wrap: anywhere; }}
ul.key span {{ flex: none; width: .8em; height: .8em; border-radius: 50%; margin: .3em .5em 0 0; }}
svg g circle:hover {{ stroke: #222; stroke-width: 2; }}
{fade}
"""
