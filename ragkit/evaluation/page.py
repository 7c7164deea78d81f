"""A page of HTML that stands alone: no script, nothing from elsewhere, and no text of a document that is markup."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

# No script at all, no picture, no font, no request: what a hostile document may have in it can do nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# XML knows no controls; marks that turn the direction of text around would let a label reach over others.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; color: #222; background: #fff;
  max-width: 1080px; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0 1rem; color: #555; max-width: 75ch; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid #ddd; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; }
small { color: #6a6a6a; }
"""


def text(value: str) -> str:
    """Text of a document, safe inside HTML and SVG, in elements and in quoted attributes."""
    return html.escape(visible(value), quote=True)


def visible(value: str) -> str:
    """With a mark in place of each control and each mark of direction."""
    return _UNSAFE.sub("\ufffd", value)


def shortened(value: str, most: int) -> str:
    """On one line, up to `most` characters."""
    line = " ".join(value.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def short_name(value: str, most: int) -> str:
    """A document's name up to `most` characters: its end tells more than its middle."""
    line = " ".join(value.split())
    tail = most // 2
    return line if len(line) <= most else f"{line[: most - tail - 1]}…{line[-tail:]}"


def page(title: str, about: str, body: str, *, style: str = "") -> str:
    """A whole page. `title` and `about` are plain text; `body` and `style` are ours, every text in them made safe."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        f"<h1>{text(title)}</h1>\n<p>{text(about)}</p>\n{body}\n</body>\n</html>\n"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Plain text in rows, the first as the heading."""
    head, *rest = rows
    lines = ["".join(f"<th>{text(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{text(cell)}</td>" for cell in row) for row in rest]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"
