"""Help, completion and mistakes: what the command line says before it does anything."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from shell import Cli

from ragkit_cli.hints import WITH_INDEX
from ragkit_cli.main import COMMANDS, commands


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_an_example_to_paste(cli: Cli, name: str) -> None:
    """The first line under the usage of every command is a command that can be pasted."""
    run = cli(name, "--help")
    assert run.code == 0
    assert run.out.split("\n\n")[1].strip().split("\n")[0].startswith(f"ragkit {name}")


def test_help_names_every_command(cli: Cli) -> None:
    """`ragkit --help` lists the table of commands with a line for each."""
    run = cli("--help")
    assert run.code == 0
    for name, (_, about) in COMMANDS.items():
        assert f"{name} " in run.out
        assert about in run.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serch", "x"], "Did you mean 'search'?"),
        (["search", "x", "--limti", "3"], "Did you mean '--limit'?"),
        (["search", "x", "--mode", "fuzzy"], "'hybrid', 'dense', 'lexical'"),
        (["search", "x", "-n", "0"], "x>=1"),
        (["search"], "Missing argument"),
        (["search", ""], "the query is empty"),
        (["search", "x", "-w", "year"], "'year' has no key, operator and value"),
        (["index", "nowhere"], "does not exist"),
        (["show", "7", "--page", "2"], "--page goes with a document"),
        (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistake_exits_with_2_and_names_the_cure(cli: Cli, shelf: Path, arguments: list[str], said: str) -> None:
    """A wrong command, flag or value is refused on stderr, with the nearest right one; stdout stays empty."""
    place = ["-i", str(shelf)] if arguments[0] in ("search", "show") and arguments[-1] != "--help" else []
    run = cli(*arguments, *place)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    as_json = cli(*arguments, *place, "--json") if arguments[0] not in ("completion", "serch") else None
    if as_json:
        assert said in json.loads(as_json.err)["error"]["message"] + json.loads(as_json.err)["error"]["hint"]


def test_an_option_without_its_value_names_the_help_of_its_command(cli: Cli) -> None:
    """`search x --mode` leads to `ragkit search --help`, which lists the modes."""
    assert "Hint: ragkit search --help" in cli("search", "x", "--mode").err
    assert "Hint: ragkit --help" in cli("--limit").err


def test_an_unknown_setting_is_refused_by_every_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped variable or key is an error that names the nearest setting."""
    monkeypatch.setenv("RAGKIT_LIMTI", "3")
    run = cli("config")
    assert run.code == 2
    assert "limti" in run.err
    assert "did you mean limit?" in run.err


@pytest.mark.parametrize(
    "arguments", [["search", "x"], ["ask", "x"], ["status"], ["list"], ["show", "1"], ["remove", "x", "-y"], ["doctor"]]
)
def test_a_missing_index_exits_with_5(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    """Every command that reads says which index it looked for and how to make one, and makes none itself."""
    run = cli(*arguments)
    assert (run.code, run.out) == (5, "")
    assert str(tmp_path / ".ragkit") in run.err
    assert "ragkit index" in run.err
    error = json.loads(cli(*arguments, "--json").err)["error"]
    assert error["code"] == "index_not_found"
    assert not (tmp_path / ".ragkit").exists()


def test_the_table_and_the_modules_agree() -> None:
    """Every name of the table is a command of that name, with an option for help."""
    context = click.Context(commands)
    for name in COMMANDS:
        found = commands.get_command(context, name)
        assert found is not None
        assert found.name == name


def test_the_hints_know_which_commands_take_an_index() -> None:
    """Every command with -i, and no other, is shown with it where it is to be run next."""
    context = click.Context(commands)
    taking = [
        name
        for name in COMMANDS
        if "-i" in [option for each in commands.get_command(context, name).params for option in each.opts]  # type: ignore[union-attr]
    ]
    assert sorted(taking) == sorted(WITH_INDEX)
