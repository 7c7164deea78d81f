"""Estimated tokens, against a rule that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.metering import metered
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.openai import OpenAICompatible
from ragkit.sandbox import Sandbox

SAMPLES = sorted((Path(__file__).parents[2] / "sample_docs").glob("*.md"))


def test_an_estimate_is_near_the_bill(sandbox: Sandbox) -> None:
    """Within 5 % over the sample texts, Russian and English, for a service that cannot count."""
    service = OpenAICompatible(sandbox.openai_url, sandbox.api_key)
    texts = [path.read_text("utf-8") for path in SAMPLES]
    estimates, counted = service.count_tokens(texts)
    with metered() as meter:
        service.embedder().embed_documents(texts)
    assert not counted
    assert sum(each.tokens for each in estimates) == pytest.approx(meter.usage.embedding_tokens, rel=0.05)


@given(st.text(), st.text())
def test_more_text_is_not_fewer_tokens(one: str, other: str) -> None:
    """Every text is a token at least, and joined texts are about as many as both."""
    assert estimated_tokens(one) >= 1
    assert estimated_tokens(f"{one} {other}") <= estimated_tokens(one) + estimated_tokens(other)


@pytest.mark.parametrize("text", ["检索增强生成是一种方法", "こんにちは世界", "مرحبا بالعالم", "γεια σου κόσμε"])
def test_letters_of_other_scripts_are_a_token_each(text: str) -> None:
    """A limit on tokens is held by estimates, so they must not be too low where words are not parted by spaces."""
    assert estimated_tokens(text) == sum(letter.isalpha() for letter in text)


def test_words_with_accents_are_words() -> None:
    """And those of all who write in Cyrillic."""
    assert estimated_tokens("Öffentlichkeit") == estimated_tokens("Offentlichkeit")
    assert estimated_tokens("їжачок") == estimated_tokens("ежачок")
