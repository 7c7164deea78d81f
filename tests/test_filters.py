"""Conditions on documents."""

import pytest

from ragkit.errors import ConfigError
from ragkit.filters import Condition, parse_where


def test_a_mapping_compares_for_equality() -> None:
    """A number is compared as it is written, yes and no as they are stored."""
    assert parse_where({"year": 2024, "author": "Иванов", "signed": True}) == (
        Condition("year", "=", "2024"),
        Condition("author", "=", "Иванов"),
        Condition("signed", "=", "1"),
    )


def test_keys_and_values_are_composed_as_metadata_is() -> None:
    """й is one character, or и and its breve. A source stays as it is given: files are named in both ways."""
    assert parse_where({"автои\u0306": "Андреи\u0306"}) == (Condition("автой", "=", "Андрей"),)
    assert parse_where(["автои\u0306!=Андреи\u0306*"]) == (Condition("автой", "!glob", "Андрей*"),)
    assert parse_where({"source": "краи\u0306.txt"}) == (Condition("source", "=", "краи\u0306.txt"),)


@pytest.mark.parametrize("value", [["a", "b"], None])
def test_a_value_that_nothing_could_equal_is_refused(value: object) -> None:
    """It would find nothing, and say nothing."""
    with pytest.raises(ConfigError, match=r"'author' has .* which is neither text nor number"):
        parse_where({"author": value})  # type: ignore[dict-item] # as a caller without types may


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>=2024", Condition("year", ">=", "2024")),
        ("year <= 2024", Condition("year", "<=", "2024")),
        ("author!=Иванов И. И.", Condition("author", "!=", "Иванов И. И.")),
        ("source=contracts/*.pdf", Condition("source", "glob", "contracts/*.pdf")),
        ("source!=*.docx", Condition("source", "!glob", "*.docx")),
        ("formula=a=b", Condition("formula", "=", "a=b")),
        ("modified<2024-01-01", Condition("modified", "<", "2024-01-01")),
    ],
)
def test_a_text_is_key_operator_value(text: str, expected: Condition) -> None:
    """The first operator splits; what follows it is the value, whatever it holds."""
    assert parse_where([text]) == (expected,)


@pytest.mark.parametrize(
    ("value", "number"),
    [("2024", 2024), ("-7", -7), ("1e3", 1000.0), (str(2**63 - 1), 2**63 - 1), (str(2**63), 2.0**63)],
)
def test_what_reads_as_a_number_is_one(value: str, number: float) -> None:
    """A whole one stays whole as long as it has 64 bits."""
    found = Condition("n", "=", value).number
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize("value", ["nan", "-NaN", "7_0", "2024-01-01", "Иванов", ""])
def test_what_no_number_is_written_as_is_a_word(value: str) -> None:
    """Python would take some of them."""
    assert Condition("n", "=", value).number is None


@pytest.mark.parametrize("text", ["contracts", "=2024", "year=", ""])
def test_a_text_without_key_operator_or_value_is_refused(text: str) -> None:
    """The error shows how a condition is written."""
    with pytest.raises(ConfigError, match="has no key, operator and value") as error:
        parse_where([text])
    assert "key=value" in error.value.hint


@pytest.mark.parametrize("text", ["year>=2024", "author!=Иванов", "source=contracts/*", "source!=*.docx"])
def test_a_condition_is_shown_as_it_is_written(text: str) -> None:
    """Globs as well, which are kept under other names."""
    assert [str(condition) for condition in parse_where([text])] == [text]
