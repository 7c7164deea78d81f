"""Pictures: the plane is the principal one, labels keep apart, and a hostile document can do nothing in a page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import colour_rag

from ragkit.evaluation.curves_html import curves_page, curves_svg
from ragkit.evaluation.drawing import COLOURS, GREY, Curve, grouped, labels, scale_of, spread, told
from ragkit.evaluation.map_html import map_page
from ragkit.evaluation.mapping import Map, Point, lay_out, plane
from ragkit.types import Chunk, Document

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\u202e"
png = pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib, an extra, is not installed")


class Tags(HTMLParser):
    """Every element with its attributes; scripts and all that could fetch or act are looked for in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def harmless(page: str) -> bool:
    """No element but ours, no attribute that acts or fetches, and the policy that forbids the rest."""
    tags = Tags(page).found
    acting = [name for _, attributes in tags for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert {tag for tag, _ in tags}.isdisjoint({"script", "img", "iframe", "object", "link", "a", "foreignobject"})
    assert not acting
    [policy] = [a["content"] for tag, a in tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in policy
    assert not {"\x00", "\u202e"} & set(page)
    return True


def drawn(sources: list[str], *, query: str = "", hits: int = 0, text: str = "words") -> Map:
    points = tuple(
        Point(i, Chunk(source, 0, 5, text, 1, text, 1), float(i % 7), float(i // 7), i + 1 if i < hits else 0)
        for i, source in enumerate(sources)
    )
    return Map(points, len(points), len(set(sources)), (0.5, 0.2), query, (3.0, 1.0) if query else None)


def test_the_plane_is_that_of_the_principal_components() -> None:
    """The same two axes and shares as a full decomposition gives, up to sign; twice the same."""
    vectors = (np.random.default_rng(5).normal(size=(300, 40)) * np.linspace(3, 1, 40)).astype(np.float32)
    _, axes, shares = plane(vectors)
    _, strengths, full = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    assert np.allclose(np.abs(axes @ full[:2].T), np.eye(2), atol=1e-3)
    assert shares == pytest.approx(tuple(strengths[:2] ** 2 / (strengths**2).sum()), rel=1e-3)
    assert np.array_equal(axes, plane(vectors)[1])


@pytest.mark.parametrize(("n", "d"), [(0, 0), (1, 4), (2, 4), (5, 1), (3, 3)])
def test_few_vectors_have_a_plane_too(n: int, d: int) -> None:
    """Axes that the vectors do not have are zero, and show nothing of them."""
    vectors = np.eye(n, d, dtype=np.float32)
    center, axes, shares = plane(vectors)
    assert axes.shape == (2, d)
    assert np.isfinite(axes).all()
    assert 0 <= sum(shares) <= 1 + 1e-6
    chunks = [(i, Chunk("a", 0, 1, "x")) for i in range(n)]
    placed = lay_out(chunks, vectors, total=n, documents=1)
    assert len(placed.points) == n
    assert map_page(placed, "few")
    assert center.shape == (d,)


def test_equal_vectors_lie_on_one_spot() -> None:
    """And the shares are 0, not a division by it."""
    placed = lay_out([(i, Chunk("a", 0, 1, "x")) for i in range(4)], np.ones((4, 3), np.float32), total=4, documents=1)
    assert {(point.x, point.y) for point in placed.points} == {(0.0, 0.0)}
    assert placed.explained == (0.0, 0.0)


def test_an_index_is_mapped_with_a_query_among_its_hits(tmp_path: Path) -> None:
    """Passages of one colour lie together; hits are numbered in the order of the search, also beyond the sample."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add(
            Document(f"{colour}{i}", f"{colour} {colour} paint {i}") for colour in ("red", "blue") for i in range(6)
        )
        found = rag.map("red red", 3)
        places = {
            colour: np.array([(p.x, p.y) for p in found.points if p.chunk.source.startswith(colour)])
            for colour in ("red", "blue")
        }
        within = max(np.ptp(each, axis=0).max() for each in places.values())
        between = np.linalg.norm(places["red"].mean(axis=0) - places["blue"].mean(axis=0))
        assert within < between / 10
        hits = [p.id for p in sorted(found.points, key=lambda p: p.hit) if p.hit]
        assert hits == [hit.id for hit in rag.search("red red", 3)]
        assert found.at is not None
        assert np.linalg.norm(np.array(found.at) - places["red"].mean(axis=0)) < between / 4
        few = rag.map("red red", 3, most=2)
        assert {p.id for p in few.points if p.hit} == set(hits)
        assert (few.chunks, few.documents) == (12, 12)
        assert told(few).startswith(f"{len(few.points)} of 12 passages, taken at even distances,")
        assert not any(p.hit for p in rag.map().points)


def test_documents_share_grey_when_colours_run_out() -> None:
    """Those with most passages have a colour each; seven documents are five and two others, not six and one."""
    assert [group.colour for group in grouped(drawn(["a", "b", "b"]).points)] == list(COLOURS[:2])
    assert grouped(drawn(["a", "b", "b"]).points)[0].name == "b"
    seven = grouped(drawn(list("abcdefg")).points)
    assert (len(seven), seven[-1].name, seven[-1].colour) == (6, "2 other documents", GREY)
    assert len(grouped(drawn(list("abcdef")).points)) == 6
    assert sum(len(group.points) for group in grouped(drawn(list("abcdefghij")).points)) == 10


def test_documents_with_hits_have_a_colour_before_others() -> None:
    """Where colours run out, a ring around grey would not say whose passage it is."""
    points = drawn(list("abbccddeeffgghh"), query="?", hits=1).points
    assert [group.name for group in grouped(points)] == ["a", "b", "c", "d", "e", "f", "2 other documents"]
    assert [group.name for group in grouped(drawn(list("abb"), query="?", hits=1).points)] == ["b", "a"]


def test_what_is_said_of_a_picture_is_true_of_small_ones_too() -> None:
    """No plane of nothing, no `1 passages`, and no doubt about what is shown whole."""
    assert told(Map((), 0, 0, (0.0, 0.0))) == "Nothing is indexed, so there is nothing to draw."
    [one] = drawn(["a"]).points
    assert told(Map((one,), 1, 1, (0.0, 0.0))) == "1 passage of 1 document."
    assert told(Map((one, one), 2, 1, (0.0, 0.0))) == "2 passages of 1 document. Their vectors are all alike."
    assert "the plane shows all of what the vectors differ in." in told(Map((one, one), 2, 2, (0.7, 0.3)))
    assert "shows 70 % of what the vectors differ in, so what lies near may" in told(drawn(["a", "b"]))
    assert "a short query often lies apart" in told(drawn(["a", "b"], query="?"))


@given(st.lists(st.tuples(st.floats(20, 380), st.floats(20, 280)), min_size=1, max_size=12, unique=True))
def test_labels_cover_neither_one_another_nor_points(points: list[tuple[float, float]]) -> None:
    """As long as there is room; and they stay inside the picture."""
    placed = labels(points, (20, 14), (0, 0, 400, 300), near=16)
    for i, (x, y) in enumerate(placed):
        assert 10 <= x <= 390
        assert 7 <= y <= 293
        for px, py in placed[:i]:
            assert abs(x - px) >= 20 or abs(y - py) >= 14
        for px, py in points:
            assert abs(x - px) > 10 or abs(y - py) > 7


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_names_of_lines_keep_their_distance(wanted: list[float]) -> None:
    """Six names with a gap of 15 fit between 0 and 100, in the order of the lines."""
    placed = spread(wanted, 15, 0, 100)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)
    ordered = sorted(placed)
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))
    by_wish = sorted(range(len(wanted)), key=lambda i: wanted[i])
    assert [placed[i] for i in by_wish] == ordered


CURVES = [
    Curve("hybrid", (0.8, 0.9, 0.95), (0.7, 0.85, 0.9), (0.9, 0.95, 1.0)),
    Curve("lexical", (0.8, 0.9, 0.95), (0.7, 0.85, 0.9), (0.9, 0.95, 1.0)),
]


def test_the_axis_holds_every_value() -> None:
    """Its ticks go from its lower to its upper bound, and no interval lies outside."""
    for lows in ((0.0,), (0.29,), (0.66,), (0.7,), (0.93,), (1.0,)):
        low, high, ticks = scale_of([Curve("x", lows, lows, (1.0,))])
        assert 0 <= low <= lows[0]
        assert (high, ticks[0], ticks[-1]) == (1.0, pytest.approx(low), 1.0)
        assert 3 <= len(ticks) <= 9


def test_curves_are_drawn_as_xml_with_their_figures() -> None:
    """A picture in SVG that any reader of XML takes, with the value of each point as a tooltip."""
    svg = ElementTree.fromstring(curves_svg(CURVES))
    tips = [title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert "hybrid: recall@2 0.900 (0.850 to 0.950)" in tips
    assert ElementTree.fromstring(curves_svg([Curve("one", (0.5,), (0.4,), (0.6,))])) is not None
    assert "begins at 0.60" in curves_page(CURVES, "title", "about", [["", "hybrid"], ["recall@1", "0.8"]])


def test_a_hostile_document_can_do_nothing_in_a_page() -> None:
    """Names, text, headings, queries and titles are words and nothing else; no direction is turned around."""
    hostile = drawn([HOSTILE, "b"], query=HOSTILE, hits=2, text=HOSTILE)
    page = map_page(hostile, HOSTILE)
    assert harmless(page)
    assert "&lt;script&gt;" in page
    curve = Curve(HOSTILE, (0.5,), (0.4,), (0.6,))
    assert harmless(curves_page([curve], HOSTILE, HOSTILE, [[HOSTILE], [HOSTILE]]))
    svg = page[page.index("<svg") : page.index("</svg>") + len("</svg>")]
    assert ElementTree.fromstring(svg) is not None


def test_rings_lie_above_the_query() -> None:
    """A hit at the same place keeps its ring and its tooltip."""
    page = map_page(drawn(["a.pdf", "b.pdf"], query="words?", hits=1), "Map")
    assert page.index("<title>words?") < page.index("<title>1. a.pdf")


def test_a_page_says_where_each_passage_stands() -> None:
    """Every point has a tooltip with document, page, heading and words; every hit a row in the table."""
    page = map_page(drawn(["a.pdf", "b.pdf"], query="words?", hits=1, text="Some words"), "Map")
    assert "a.pdf <small>1 passage</small>" in page
    assert page.count("<title>a.pdf, page 1, line 1 · Some words\nSome words</title>") == 1
    assert "<td>1</td><td>a.pdf, page 1, line 1 · Some words</td><td>Some words</td>" in page


@png
def test_png_pictures_are_drawn(tmp_path: Path) -> None:
    """Real PNG files, whatever letters and signs of mathematics a document has."""
    from ragkit.evaluation.png import check_png, curves_png, map_png

    check_png()
    odd = HOSTILE + "$x^$ _{ 漢字 🙂"
    curves_png(tmp_path / "c.png", [*CURVES, Curve(f"_{odd}", (0.1,) * 3, (0.0,) * 3, (0.2,) * 3)], odd, odd)
    map_png(tmp_path / "m.png", drawn([f"_{odd}", "b", "c"], query=odd, hits=2, text=odd), odd)
    map_png(tmp_path / "none.png", Map((), 0, 0, (0.0, 0.0)), "empty")
    for name in ("c.png", "m.png", "none.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@png
@pytest.mark.parametrize("sources", ["a", "abc", "abcdefghij" * 20], ids=["one", "three", "many"])
def test_numbers_stand_beside_their_rings(sources: str) -> None:
    """Also where a single passage lies on the query, and whatever room the numbers and their lines take."""
    from ragkit.evaluation.png import map_figure

    found = drawn(list(sources), query="?", hits=9)
    if len(sources) == 1:
        found = replace(found, at=(found.points[0].x, found.points[0].y))
    figure = map_figure(found, "Map")
    figure.draw_without_rendering()
    [axes] = figure.axes
    numbers = {text.get_text(): axes.transData.transform(text.get_position()) for text in axes.texts}
    assert len(numbers) == min(9, len(sources))
    for point in found.points[:9]:
        there = axes.transData.transform((point.x, point.y))
        assert axes.bbox.contains(*there)
        assert np.hypot(*(numbers[str(point.hit)] - there)) < 270  # of 1600 pixels: the farthest place that is tried


@png
def test_a_png_names_its_hits() -> None:
    """It has no tooltips: document, page and line of each ring stand beside it, as far as there is room."""
    from ragkit.evaluation.png import map_figure

    said = [text.get_text() for text in map_figure(drawn(["договор.pdf"] * 30, query="?", hits=30), "Map").texts]
    [hits] = [each for each in said if "line 1\n" in each]
    assert hits.splitlines()[0] == "\u20071  договор.pdf, page 1, line 1"
    assert hits.splitlines()[-1] == "… and 11 more"


@png
def test_no_text_of_a_png_goes_over_its_edge() -> None:
    """However wide the letters of a script are."""
    from ragkit.evaluation.png import curves_figure, map_figure

    wide = "Щ" * 200
    lines = [Curve(f"{wide}{i}", (0.5,) * 3, (0.4,) * 3, (0.6,) * 3) for i in range(3)]
    for figure in (map_figure(drawn([wide, "b"], query=wide, hits=2), wide), curves_figure(lines, wide, wide)):
        figure.draw_without_rendering()
        names = figure.legends[0].get_texts() if figure.legends else []
        texts = [*figure.texts, *names, *figure.axes[0].texts]
        assert len(texts) >= 4
        assert all(each.get_window_extent().x1 <= figure.bbox.width for each in texts)


@png
def test_png_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    """No date and no chance in them."""
    from ragkit.evaluation.png import map_png

    for name in ("a.png", "b.png"):
        map_png(tmp_path / name, drawn(list("abcdefgh"), query="?", hits=3), "Map")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
