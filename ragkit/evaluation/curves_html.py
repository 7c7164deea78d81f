"""Recall by k as a page of HTML with a picture in SVG, drawn here: a line for each run, its interval as a band."""

from __future__ import annotations

from collections.abc import Sequence

from ragkit.evaluation.drawing import COLOURS, FAINT, INK, Curve, places_of, scale_of, scale_said, spread
from ragkit.evaluation.page import page, short_name, table, text

_WIDTH, _HEIGHT = 960, 470
_LEFT, _TOP, _BOTTOM = 64, 16, 56
_LETTER = 8.2  # width of one, at most, on average
_DASHES = ("", "7 4", "2 4", "10 3 2 3")
_LABEL = 28  # characters
_LINE = 20  # between the labels of two lines


def curves_page(curves: Sequence[Curve], title: str, about: str, rows: Sequence[Sequence[str]]) -> str:
    """The page: the picture, and below it `rows`, the first of which is a heading."""
    return page(title, about + scale_said(curves), f"{curves_svg(curves)}\n{table(rows)}")


def curves_svg(curves: Sequence[Curve]) -> str:
    """The picture alone."""
    k = len(curves[0].means)
    low, high, ticks = scale_of(curves)
    right = _WIDTH - 44 - _LETTER * max(len(short_name(curve.name, _LABEL)) for curve in curves)

    def x(place: int) -> float:
        return _LEFT + (right - _LEFT) * ((place - 1) / (k - 1) if k > 1 else 0.5)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Recall by k" xmlns="http://www.w3.org/2000/svg"'
        ' font-family="system-ui, Roboto, Arial, sans-serif" font-size="14">'
    ]
    parts += [
        f'<line x1="{_LEFT}" x2="{right:.1f}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e4e4e4"/>'
        f'<text x="{_LEFT - 10}" y="{y(tick) + 5:.1f}" text-anchor="end" fill="{FAINT}">{tick:.2f}</text>'
        for tick in ticks
    ]
    parts += [
        f'<text x="{x(place):.1f}" y="{_HEIGHT - _BOTTOM + 24}" text-anchor="middle" fill="{FAINT}">{place}</text>'
        for place in places_of(k)
    ]
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{_HEIGHT - 8}" text-anchor="middle" fill="{INK}">k: places of the ranking</text>'
        f'<text transform="translate(16 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)" text-anchor="middle"'
        f' fill="{INK}">recall@k</text>'
    )
    for number, curve in enumerate(curves):
        parts += _line(number, curve, [(x(i), y(mean), y(a), y(b)) for i, (mean, a, b) in _at_each_k(curve)])
    ends = [y(curve.means[-1]) for curve in curves]
    for number, (curve, end, at) in enumerate(
        zip(curves, ends, spread(ends, _LINE, _TOP + 8, _HEIGHT - _BOTTOM), strict=True)
    ):
        start = x(k) + 10
        parts.append(
            f'<path d="M{x(k) + 5:.1f} {end:.1f}L{start + 8:.1f} {at:.1f}" stroke="{_colour(number)}" fill="none"/>'
            f'<text x="{start + 12:.1f}" y="{at + 5:.1f}" fill="{INK}">{text(short_name(curve.name, _LABEL))}'
            f"<title>{text(curve.name)}</title></text>"
        )
    return "\n".join([*parts, "</svg>"])


def _line(number: int, curve: Curve, places: Sequence[tuple[float, float, float, float]]) -> list[str]:
    """A band, a line and a mark at each k, with its figures as a tooltip."""
    colour = _colour(number)
    there = " ".join(f"{x:.1f},{low:.1f}" for x, _, low, _ in places)
    back = " ".join(f"{x:.1f},{high:.1f}" for x, _, _, high in reversed(places))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
    parts = [
        f'<polygon points="{there} {back}" fill="{colour}" fill-opacity="0.10"/>',
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.2"'
        f' stroke-dasharray="{_DASHES[number % len(_DASHES)]}"/>',
    ]
    if len(places) > 30:
        return parts
    for (x, y, _, _), (place, (mean, low, high)) in zip(places, _at_each_k(curve), strict=True):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" stroke="#fff" stroke-width="1.2">'
            f"<title>{text(curve.name)}: recall@{place} {mean:.3f} ({low:.3f} to {high:.3f})</title></circle>"
        )
    return parts


def _at_each_k(curve: Curve) -> list[tuple[int, tuple[float, float, float]]]:
    return list(enumerate(zip(curve.means, curve.lows, curve.highs, strict=True), 1))


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
