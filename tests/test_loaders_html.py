"""HTML: what a reader sees."""

from __future__ import annotations

import io

import pytest

from ragkit.errors import LoadError
from ragkit.loaders import load

PAGE = """<!doctype html><html lang="ru"><head><title>Договор поставки</title><meta charset="windows-1251">
<meta name="author" content="Иванов И."><style>p {}</style><script>var secret</script></head><body>
<h1>Договор <b>№ 17</b></h1><p>Пеня 0,1&nbsp;% &laquo;за
день&raquo;.<br>Вторая строка</p><ul><li>один</li><li>два</li></ul>
<table><tr><th>Товар</th><th>Цена</th></tr><tr><td><p>Сыр</p></td><td>10</td></tr></table>
<div hidden>тайна</div><p style="display: none">тайна</p><template>тайна</template>
<pre>a  b
 c</pre><h2>Срок</h2>30 дней</body></html>"""


def test_blocks_headings_and_tables() -> None:
    """Blocks stand apart, rows and items on lines of their own, headings at their offsets, hidden text nowhere."""
    loaded = load(io.BytesIO(PAGE.encode("cp1251")), "page.html")
    document = loaded.document
    assert document.text == (
        "Договор № 17\n\nПеня 0,1 % «за день».\nВторая строка\nодин\nдва\nТовар | Цена\nСыр | 10\n\n"
        "a  b\n c\n\nСрок\n\n30 дней"
    ).replace("0,1 %", "0,1\u00a0%")
    assert [(document.text[h.start : h.start + len(h.text)], h.level) for h in document.headings] == [
        ("Договор № 17", 1),
        ("Срок", 2),
    ]
    assert document.metadata["title"] == "Договор поставки"
    assert document.metadata["author"] == "Иванов И."
    assert "2 hidden parts" in loaded.notes[0]


def test_the_encoding_is_what_the_bytes_say() -> None:
    """A page saved anew as UTF-8 is UTF-8 whatever its meta tag says; without a tag the letters decide."""
    assert load(io.BytesIO(PAGE.encode()), "page.html").document.metadata["encoding"] == "utf-8"
    bare = "<p>Поставщик обязан поставить товар в течение тридцати календарных дней</p>"
    assert "Поставщик" in load(io.BytesIO(bare.encode("koi8-r")), "page.htm").document.text


def test_a_page_without_text_is_refused() -> None:
    """A page that a script would fill has nothing to index, and the cure says so."""
    with pytest.raises(LoadError, match="shows no text") as caught:
        load(io.BytesIO(b"<html><body><div id=app></div><script>go()</script></body></html>"), "app.html")
    assert "after it has loaded" in caught.value.hint


def test_depth_beyond_the_parser_is_reported() -> None:
    """What nests deeper than the parser goes is not lost in silence."""
    page = "<p>начало</p>" + "<div>" * 5000 + "глубина"
    loaded = load(io.BytesIO(page.encode()), "deep.html")
    assert "начало" in loaded.document.text
    assert "глубина" in loaded.document.text or loaded.problems[0].code == "damaged"


def test_impossible_characters_become_visible_loss() -> None:
    """References to NUL and surrogates leave text that UTF-8 can hold."""
    text = load(io.BytesIO(b"<p>a&#0;b&#xD800;c</p>"), "a.html").document.text
    assert text.encode()
    assert "\0" not in text
