"""Settings come from four layers, each value says which, and a mistake is named where it was made."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from ragkit.errors import ConfigError
from ragkit.settings import Settings, find_index, load_settings, names


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a settings file and a folder below it."""
    (tmp_path / "ragkit.toml").write_text('limit = 8\nmode = "lexical"\nindex = "notes.idx"\n', "utf-8")
    (tmp_path / "letters").mkdir()
    return tmp_path


def test_the_nearer_layer_wins_and_says_so(project: Path) -> None:
    """Arguments beat the environment, the environment beats ragkit.toml, ragkit.toml beats the default."""
    settings = load_settings(
        {"limit": 3, "mode": None}, environ={"RAGKIT_LIMIT": "5", "RAGKIT_PASSAGES": "4"}, cwd=project / "letters"
    )
    assert (settings.limit, settings.passages, settings.mode, settings.chunk_size) == (3, 4, "lexical", 800)
    assert settings.origin("limit") == "argument"
    assert settings.origin("passages") == "environment RAGKIT_PASSAGES"
    assert settings.origin("mode") == str(project / "ragkit.toml")
    assert settings.origin("chunk_size") == "default"


def test_a_path_in_the_file_is_relative_to_the_file(project: Path) -> None:
    """`index` in ragkit.toml names the same folder from wherever in the project it is read."""
    assert load_settings(environ={}, cwd=project / "letters").index == project / "notes.idx"


def test_the_index_is_found_upwards(tmp_path: Path) -> None:
    """-i, else RAGKIT_INDEX, else the nearest .ragkit upwards, else ./.ragkit."""
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_index(environ={}, cwd=below) == below / ".ragkit"
    (tmp_path / "a" / ".ragkit").mkdir()
    assert find_index(environ={}, cwd=below) == tmp_path / "a" / ".ragkit"
    assert find_index(environ={"RAGKIT_INDEX": "x"}, cwd=below) == below / "x"
    assert find_index("y", environ={"RAGKIT_INDEX": "x"}, cwd=below) == below / "y"
    settings = load_settings(environ={}, cwd=below)
    assert (settings.index, settings.origin("index")) == (tmp_path / "a" / ".ragkit", "nearest .ragkit upwards")


def test_home_is_expanded() -> None:
    """`~` works where no shell expands it: in the file and in the environment."""
    assert find_index(environ={"RAGKIT_INDEX": "~/idx"}) == Path.home() / "idx"
    with pytest.raises(ConfigError, match="home folder"):
        find_index("~no-such-user/idx")


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        ({"limt": 3}, {}, ["limt", "argument", "did you mean limit?"]),
        ({}, {"RAGKIT_CHUNKSIZE": "3"}, ["chunksize", "RAGKIT_CHUNKSIZE", "did you mean chunk_size?"]),
        ({"qqqqqq": 3}, {}, ["qqqqqq", "chunk_size, chunk_overlap"]),
        ({"limit": 0}, {}, ["limit", "0", "argument", "from 1 to 10000"]),
        ({"limit": "many"}, {}, ["limit", "'many'", "no whole number"]),
        ({"limit": True}, {}, ["limit", "True", "no whole number"]),
        ({"limit": 2.5}, {}, ["limit", "2.5", "no whole number"]),
        ({}, {"RAGKIT_WORKERS": "-1"}, ["workers", "'-1'", "RAGKIT_WORKERS", "from 0 to 256"]),
        ({"mode": "fuzzy"}, {}, ["mode", "'fuzzy'", "hybrid, dense, lexical"]),
        ({"max_file_size": "3 bananas"}, {}, ["max_file_size", "'3 bananas'"]),
        ({"index": ""}, {}, ["index", "no path"]),
        ({"index": "~no-such-user/x"}, {}, ["index", "'~no-such-user/x'", "home folder"]),
        ({}, {"RAGKIT_INDEX": "bad\udcff"}, ["index", "RAGKIT_INDEX", "not UTF-8"]),
        ({}, {"RAGKIT_LIMIT": "7" * 5000}, ["limit", "'777", "5000 characters", "from 1 to 10000"]),
        ({"limit": 16**5000}, {}, ["limit", "too large to show", "from 1 to 10000"]),
        ({"mode": "hybrid" * 1000}, {}, ["mode", "6000 characters", "hybrid, dense, lexical"]),
        ({"temperature": "hot"}, {}, ["temperature", "'hot'", "no number"]),
        ({"top_p": 1.5}, {}, ["top_p", "1.5", "from 0 to 1"]),
        ({"top_p": "nan"}, {}, ["top_p", "'nan'", "from 0 to 1"]),
        ({"gigachat_verify": "maybe"}, {}, ["gigachat_verify", "'maybe'", "true or false"]),
        ({}, {"OPENAI_BASE_URL": "localhost:1"}, ["openai_base_url", "OPENAI_BASE_URL", "https://"]),
        ({"headers": "x-folder-id"}, {}, ["headers", "names no header", "name: value"]),
        ({"proxy": "proxy:3128"}, {}, ["proxy", "no address", "socks5://"]),
        ({"embed_model": 3}, {}, ["embed_model", "3", "between quotes"]),
        ({"chunk_size": 150}, {}, ["chunk_overlap is 200 (default)", "chunk_size is 150 (argument)"]),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, arguments: dict[str, object], environ: dict[str, str], said: list[str]
) -> None:
    """The error holds the setting, the value, where it was said and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_settings(arguments, environ=environ, cwd=tmp_path)
    for part in said:
        assert part in f"{caught.value.message} | {caught.value.hint}"
    assert caught.value.hint
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"limt = 3", "unknown setting 'limt'"),
        (b"limit = ", "not TOML"),
        (b'mode = "\xef\xf0\xe8\xe2"', "not TOML in UTF-8"),
        (b"limit = [1]", "no whole number"),
        (b"[search]\nlimit = 3", "unknown setting 'search'"),
        (b"limit = " + b"[" * 100_000, "not TOML"),
        (b"limit = " + b"7" * 5000, "not TOML"),
        (b"limit = 0x" + b"f" * 5000, "out of range"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(tmp_path: Path, content: bytes, said: str) -> None:
    """A typing mistake in ragkit.toml is an error with the file's path, never ignored."""
    (tmp_path / "ragkit.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={}, cwd=tmp_path)
    assert said in caught.value.message
    assert str(tmp_path / "ragkit.toml") in caught.value.message


@pytest.mark.parametrize(
    ("said", "bytes_meant"), [("10", 10), ("10 KiB", 10_240), ("2MiB", 2 << 20), ("1gib", 1 << 30), (77, 77)]
)
def test_sizes_may_have_a_unit(tmp_path: Path, said: object, bytes_meant: int) -> None:
    """Bytes may be written with the binary units."""
    assert load_settings({"max_file_size": said}, environ={}, cwd=tmp_path).max_file_size == bytes_meant


def test_leading_zeros_say_nothing(tmp_path: Path) -> None:
    """A number may have any number of them."""
    assert load_settings(environ={"RAGKIT_LIMIT": "0" * 5000 + "7"}, cwd=tmp_path).limit == 7


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """`RAGKIT_LIMIT= ragkit search …` is the shell's way to unset a variable for one command."""
    assert load_settings(environ={"RAGKIT_LIMIT": ""}, cwd=tmp_path).limit == 10


def test_every_setting_is_explained() -> None:
    """`names` lists every field, each with its sentence."""
    assert list(names()) == [field.name for field in fields(Settings) if field.name != "origins"]
    assert all(names().values())


def test_names_of_other_programs_are_honoured() -> None:
    """The variables that users of GigaChat and OpenAI have set already are settings; ragkit's own names win."""
    environ = {
        "GIGACHAT_CREDENTIALS": "key",
        "GIGACHAT_BASE_URL": "http://127.0.0.1:1/api/v1/",
        "GIGACHAT_VERIFY_SSL_CERTS": "False",
        "GIGACHAT_MAX_RETRIES": "0",
        "GIGACHAT_TIMEOUT": "12.5",
        "OPENAI_API_KEY": "sk-1",
        "RAGKIT_RETRIES": "2",
    }
    settings = load_settings(environ=environ, cwd="/")
    assert settings.gigachat_credentials.reveal() == "key"
    assert settings.origin("gigachat_credentials") == "environment GIGACHAT_CREDENTIALS"
    assert settings.gigachat_base_url == "http://127.0.0.1:1/api/v1"
    assert (settings.gigachat_verify, settings.retries, settings.timeout) == (False, 2, 12.5)
    assert settings.origin("retries") == "environment RAGKIT_RETRIES"
    assert settings.openai_api_key.reveal() == "sk-1"


def test_a_secret_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither the settings' repr nor an error about a key has the key in it."""
    settings = load_settings({"api_key": "s3cret-value"}, environ={}, cwd=tmp_path)
    assert "s3cret" not in repr(settings) + str(settings.api_key) + f"{settings.api_key}"
    more = load_settings(
        {"headers": "X-Api-Key: s3cret, A: b, c", "proxy": "http://u:s3cret@p:1"}, environ={}, cwd=tmp_path
    )
    assert "s3cret" not in repr(more)
    assert more.headers.reveal() == "X-Api-Key: s3cret\nA: b, c"
    with pytest.raises(ConfigError) as caught:
        load_settings({}, environ={"OPENAI_API_KEY": "s3cret-value\nrest"}, cwd=tmp_path)
    assert "s3cret" not in str(caught.value) + caught.value.hint
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(settings.api_key)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_secret_in_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """ragkit.toml may hold a key where nobody else can read it; otherwise the cure is said."""
    file = tmp_path / "ragkit.toml"
    file.write_text('api_key = "sk-1"\n', "utf-8")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others on this machine") as caught:
        load_settings(environ={}, cwd=tmp_path)
    assert "chmod 600" in caught.value.hint
    file.chmod(0o600)
    assert load_settings(environ={}, cwd=tmp_path).api_key.reveal() == "sk-1"


def test_settings_are_made_of_names_that_exist() -> None:
    """What is not given has its default, a copy differs where it is told to, and a slip in a name is an error."""
    made = Settings(limit=3, origins={"limit": "argument"})
    assert (made.limit, made.chunk_size, made.origin("limit"), made.origin("mode")) == (3, 800, "argument", "default")
    other = replace(made, mode="lexical")
    assert (other.limit, other.mode, made.mode, other.origin("limit")) == (3, "lexical", "hybrid", "argument")
    with pytest.raises(TypeError, match="limti"):
        Settings(limti=3)
    with pytest.raises(FrozenInstanceError):
        made.limit = 4  # type: ignore[misc]  # the mistake is the test


def test_settings_import_nothing_heavy() -> None:
    """Reading the settings imports neither numpy nor click, nor tomllib where there is no file."""
    code = "import sys, ragkit.settings as s; s.load_settings(cwd='/'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "ragkit.settings" in loaded
    assert not {"numpy", "click", "tomllib", "difflib"} & set(loaded)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "https://somebody:hunter2@host/v1"),
        ("base_url", "somebody:hunter2@host/v1"),
        ("openai_base_url", "https://hunter2@host"),
        ("gigachat_auth_url", "https://host/oauth?key=hunter2"),
        ("embed_base_url", "https://host/v1#hunter2"),
        ("insecure_tls_host", "https://somebody:hunter2@host"),
        ("limit", "somebody:hunter2@host"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    """Addresses are shown by `ragkit config` and in errors: what is secret has settings of its own."""
    with pytest.raises(ConfigError) as caught:
        load_settings({name: value}, environ={}, cwd=tmp_path)
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert name in caught.value.message
