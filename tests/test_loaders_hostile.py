"""Files that break parsers: each ends as text or as a named reason, and costs no other file."""

from __future__ import annotations

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragkit.errors import LoadError
from ragkit.loaders.isolation import ParserPool

HOSTILE = Path(__file__).parents[1].parent / "shared" / "data" / "hostile"
DOCUMENTS = HOSTILE.parent / "documents_ru"


@pytest.mark.skipif(not HOSTILE.exists(), reason="the hostile files are not part of the project")
def test_every_hostile_file_ends_as_text_or_as_a_reason() -> None:
    """No crash, no hang, no control character, and a cure beside each reason. Costly ones have tests of their own."""
    rows = json.loads((HOSTILE / "manifest.json").read_text(encoding="utf-8"))
    quick = [row for row in rows if "flood" not in row["file"] and "xobj" not in row["file"]]
    with ParserPool(2) as pool, ThreadPoolExecutor(2) as threads:

        def outcome(row: dict[str, str]) -> str:
            try:
                with (HOSTILE / row["file"]).open("rb") as file:
                    document = pool.load(file, row["file"]).document
            except LoadError as error:
                return "" if error.hint and error.message else f"{row['file']}: {error!r} without a cure"
            unclean = {char for char in document.text if char < " " and char not in "\t\n"}
            document.text.encode()
            word = row["expect"].partition(":")[2]
            return f"{row['file']}: {unclean}, {word}" if unclean or word not in document.text else ""

        assert [wrong for wrong in threads.map(outcome, quick) if wrong] == []


@pytest.mark.skipif(not DOCUMENTS.exists(), reason="the real documents are not part of the project")
@pytest.mark.parametrize(
    "pair",
    [
        ("tests__data__tz__alpaca_tz.docx", "tests__data__tz__alpaca_tz.pdf"),
        ("tests__data__docx__example.docx", "tests__data__pdf_with_text_layer__example.pdf"),
    ],
)
def test_the_same_document_in_two_formats_gives_the_same_words(pair: tuple[str, str]) -> None:
    """At least 98 of 100 words of either format stand in the other as often."""
    with ParserPool(1) as pool:
        words = []
        for name in pair:
            with (DOCUMENTS / name).open("rb") as file:
                words.append(Counter(re.findall(r"\w+", pool.load(file, name).document.text.lower())))
    assert (words[0] & words[1]).total() >= 0.98 * max(count.total() for count in words)
