"""docs/json.md and the commands agree, field for field, in both directions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from shell import Cli

from ragkit.answers import Refusal

DOCS = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
MAPS = {"scores", "ranks", "metadata", "timings"}  # their keys are data
ELSEWHERE = {"answer": {"hits": "search"}, "show": {"passages": "search"}}  # "each as in ragkit.search/1"


def documented(name: str) -> dict[str, str]:
    """Field -> type, as the table under the schema's heading says."""
    section = DOCS.partition(f"## ragkit.{name}/1\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", section, re.MULTILINE))
    for field, other in ELSEWHERE.get(name, {}).items():
        for path, kind in documented(other).items():
            if path.startswith("hits[]."):
                rows[path.replace("hits[]", f"{field}[]")] = kind
    return rows


def printed(value: object, path: str = "") -> dict[str, set[str]]:
    """Field -> the types that were seen in it."""
    found: dict[str, set[str]] = {}
    if path:
        found[path] = {kind_of(value)}
    if isinstance(value, dict) and path.rpartition(".")[2] not in MAPS:
        for key, inner in value.items():
            for place, kinds in printed(inner, f"{path}.{key}" if path else key).items():
                found.setdefault(place, set()).update(kinds)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict):
                for place, kinds in printed(inner, f"{path}[]").items():
                    found.setdefault(place, set()).update(kinds)
    return {place: kinds for place, kinds in found.items() if not place.endswith("[]")}


def kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}
    return kinds[type(value)]


def flat(fields: dict[str, str]) -> set[str]:
    """Names with every object above them: usage.total_tokens needs usage."""
    above = {field[:i] for field in fields for i, letter in enumerate(field) if letter == "." and field[i - 1] != "]"}
    return set(fields) | above


CASES = [
    ("search", ["search", "возврат залога", "--explain"]),
    ("answer", ["ask", "В какой срок возвращается залог?", "--explain"]),
    ("list", ["list"]),
    ("show", ["show", "ID"]),
    ("document", ["show", "kettle.md"]),
    ("remove", ["remove", "kettle.md", "--dry-run"]),
    ("status", ["status"]),
    ("doctor", ["doctor"]),
    ("config", ["config"]),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_every_field_is_documented_and_every_documented_field_is_printed(
    cli: Cli, shelf: Path, name: str, arguments: list[str]
) -> None:
    """The object names its schema; its fields and their types are those of the table."""
    if "ID" in arguments:
        hits = cli("search", "залог", "--json", "-i", shelf).json["hits"]
        arguments = ["show", str(hits[0]["id"])]  # type: ignore[index]  # JSON
    found = cli(*arguments, "--json", "-i", shelf).json
    compare(name, found, absent=("statements[",))  # only where a model wrote the answer


def test_index_prints_what_is_documented(cli: Cli, docs: Path) -> None:
    """`index --json`: the same, with a file that could not be read; stderr stays empty."""
    run = cli("index", docs, "--json")
    assert run.code == 3
    assert run.err == ""
    compare("index", run.json)


SERVICES = [
    ("models", ["models"]),
    ("balance", ["models", "--balance"]),
    ("tokens", ["tokens", "FILE"]),
    ("image", ["image", "кот", "-o", "cat.jpg"]),
    ("files", ["files", "upload", "FILE"]),
    ("files", ["files", "list"]),
    ("tls", ["doctor", "tls"]),
    ("answer", ["ask", "--file", "FILE", "О чём это?"]),
]


@pytest.mark.usefixtures("ragkit_sandbox_env")
@pytest.mark.parametrize(("name", "arguments"), SERVICES)
def test_what_services_say_is_documented_too(cli: Cli, tmp_path: Path, name: str, arguments: list[str]) -> None:
    """The same for the commands that ask a service."""
    file = tmp_path / "note.txt"
    file.write_text("Ключ у консьержки.", "utf-8")
    given = [str(file) if each == "FILE" else each for each in arguments]
    if given[:2] == ["files", "list"]:
        cli("files", "upload", file)
    found = cli(*given, "--json").json
    if name == "files":
        [id] = [each["id"] for each in found["files"]]  # type: ignore[union-attr, index]  # JSON
        compare("deleted", cli("files", "delete", id, "--json").json)
    if name == "answer":
        assert found["citations"]
        found.pop("hits")
    compare(name, found, absent=("hits", "hosts[].chain[]"))  # the sandbox speaks plain http


def compare(name: str, found: dict[str, object], absent: tuple[str, ...] = ()) -> None:
    assert found.pop("schema") == f"ragkit.{name}/1"
    table = documented(name)
    seen = printed(found)
    shown = {"hits[].ranks", "passages[].ranks"}  # only with --explain
    assert set(seen) - flat(table) == set()
    missing = set(table) - shown - set(seen)
    assert not {field for field in missing if not field.startswith(absent)} if absent else not missing
    for place, kinds in seen.items():
        if place in table:
            allowed = set(table[place].replace("true or false", "bool").split(" or "))
            assert {kind.replace("true or false", "bool") for kind in kinds} <= allowed, place


def test_the_words_for_a_refusal_are_documented(cli: Cli, shelf: Path) -> None:
    """Each reason that an answer can have is in its row, and a refused answer has the fields of any other."""
    row = re.search(r"^\| `refusal` .*", DOCS, re.MULTILINE)
    assert row
    assert set(re.findall(r"`(\w+)`", row[0])) == {"refusal", *Refusal}
    found = cli("ask", "Кто изобрёл синхрофазотрон?", "--json", "-i", shelf).json
    assert found["refusal"] in set(Refusal)
    compare("answer", found, absent=("statements[", "citations["))


def test_errors_are_objects_too(cli: Cli, tmp_path: Path) -> None:
    """With --json an error is one object on stderr with exactly the documented fields."""
    error = json.loads(cli("status", "--json", "-i", tmp_path / "none").err)
    section = DOCS.partition("## Errors")[2].partition("\n## ")[0]
    assert {f"error.{key}" for key in error["error"]} == set(re.findall(r"^\| `(error\.\w+)`", section, re.MULTILINE))
    assert error["error"]["code"] in section


def test_exit_codes_are_documented() -> None:
    """The table of exit codes holds exactly the codes of ragkit_cli.exits."""
    from ragkit_cli import exits

    codes = {value for name, value in vars(exits).items() if name.isupper()}
    section = DOCS.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes
