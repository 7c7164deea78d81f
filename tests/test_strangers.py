"""A folder from a stranger: its ragkit.toml and its index are read, and neither leads a key or a text astray."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

import ragkit
from ragkit.errors import ConfigError, StoreError
from ragkit.services import connect
from ragkit.settings import Settings, load_settings

POSIX = pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")


def folder(tmp_path: Path, *lines: str, name: str = "theirs") -> Path:
    """A folder with a ragkit.toml of these lines."""
    made = tmp_path / name
    made.mkdir(exist_ok=True)
    (made / "ragkit.toml").write_text("\n".join(lines), "utf-8")
    (made / "ragkit.toml").chmod(0o600)
    return made


def given(cwd: Path, **environ: str) -> Settings:
    return load_settings(environ=environ, cwd=cwd)


@pytest.mark.parametrize(
    ("line", "environ", "role"),
    [
        ('provider = "gptunnel"', {"RAGKIT_API_KEY": "k"}, "chat"),
        ('provider = "openai"', {"RAGKIT_API_KEY": "k"}, "chat"),
        ('provider = "ollama"', {"RAGKIT_API_KEY": "k"}, "chat"),  # another program on this machine
        ('chat_provider = "vsegpt"', {"RAGKIT_API_KEY": "k", "RAGKIT_PROVIDER": "yandex"}, "chat"),
        ('embed_provider = "vsegpt"', {"RAGKIT_API_KEY": "k"}, "embed"),
        ('embed_provider = "vsegpt"', {"RAGKIT_EMBED_API_KEY": "k"}, "embed"),
        ('image_provider = "vsegpt"', {"RAGKIT_IMAGE_API_KEY": "k"}, "image"),
        ('rerank_provider = "vsegpt"', {"RAGKIT_RERANK_API_KEY": "k"}, "rerank"),
        ('rerank_base_url = "https://elsewhere/v1"', {"RAGKIT_RERANK_API_KEY": "k"}, "rerank"),
        ('base_url = "https://elsewhere/v1"', {"RAGKIT_HEADERS": "X-Api-Key: k"}, "chat"),
        ('provider = "vsegpt"', {"RAGKIT_HEADERS": "X-Api-Key: k"}, "chat"),
        ('proxy = "socks5://elsewhere:1"', {"OPENAI_API_KEY": "k"}, "chat"),
        ('ca_file = "~/theirs.pem"', {"OPENAI_API_KEY": "k"}, "chat"),
        ('headers = {Host = "elsewhere"}', {"OPENAI_API_KEY": "k"}, "chat"),
        ('gigachat_auth_url = "https://elsewhere/oauth"', {"GIGACHAT_USER": "u", "GIGACHAT_PASSWORD": "k"}, "chat"),
        ('gigachat_base_url = "https://elsewhere/v1"', {"GIGACHAT_USER": "u", "GIGACHAT_PASSWORD": "k"}, "chat"),
    ],
)
def test_a_key_of_the_environment_stays_where_it_belongs(
    tmp_path: Path, line: str, environ: dict[str, str], role: str
) -> None:
    """Neither an address nor the name of another service, a proxy, a certificate or a header in their file moves it."""
    with pytest.raises(ConfigError, match="not sent there"):
        connect(given(folder(tmp_path, line), **environ), role)


def test_the_name_of_the_service_that_owns_a_key_is_no_harm(tmp_path: Path) -> None:
    """OPENAI_API_KEY is OpenAI's by its name, so a file may choose OpenAI."""
    connect(given(folder(tmp_path, 'provider = "openai"'), OPENAI_API_KEY="k"), "chat")


@POSIX
def test_paths_of_a_linked_file_are_taken_from_where_the_file_is(tmp_path: Path) -> None:
    """A link to one's own ragkit.toml would otherwise take certificates and the index from a stranger's folder."""
    mine = folder(tmp_path, 'gigachat_credentials = "k"', 'gigachat_ca_file = "root.pem"', name="mine")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "ragkit.toml").symlink_to(mine / "ragkit.toml")
    assert given(theirs).gigachat_ca_file == str(mine.resolve() / "root.pem")


@POSIX
def test_a_link_does_not_hide_whose_file_it_is(tmp_path: Path) -> None:
    """What stands behind the link is judged as any ragkit.toml."""
    (tmp_path / "innocent").write_text('openai_base_url = "https://elsewhere/v1"', "utf-8")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "ragkit.toml").symlink_to(tmp_path / "innocent")
    with pytest.raises(ConfigError, match="not sent there"):
        connect(given(theirs, OPENAI_API_KEY="k"))


@pytest.mark.parametrize("index", ["../mine/.ragkit", "~/.ragkit", "inside"])
def test_their_file_does_not_send_your_index_to_their_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    """An index elsewhere and an address, both by the same file: the texts of the one are not sent to the other."""
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    theirs = folder(tmp_path, f'index = "{index}"', 'base_url = "https://elsewhere/v1"', 'chat_model = "m"')
    if os.name == "posix":
        (tmp_path / "mine").mkdir()
        (theirs / "inside").symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match="outside") as caught:
        connect(given(theirs))
    assert "RAGKIT_INDEX" in caught.value.hint
    connect(given(theirs, RAGKIT_INDEX=str(tmp_path / "mine" / ".ragkit")))  # said by the user
    connect(given(theirs, RAGKIT_BASE_URL="https://elsewhere/v1"))


@POSIX
@pytest.mark.parametrize("link", [False, True])
def test_an_index_that_is_found_is_not_sent_to_their_service_either(tmp_path: Path, link: bool) -> None:
    """Their folder lies inside of yours, whose index is the nearest; or holds a link to yours."""
    mine = tmp_path / "mine" / ".ragkit"
    mine.mkdir(parents=True)
    theirs = folder(tmp_path / "mine", 'base_url = "https://elsewhere/v1"', 'chat_model = "m"', name="vendored")
    if link:
        theirs = folder(tmp_path, 'gigachat_base_url = "https://elsewhere/v1"', 'gigachat_access_token = "theirs"')
        (theirs / ".ragkit").symlink_to(mine)
    with pytest.raises(ConfigError, match="outside"):
        connect(given(theirs))
    connect(given(theirs, RAGKIT_INDEX=str(mine)))
    if not link:
        (theirs / ".ragkit").mkdir()
        connect(given(theirs))  # their own index, to their own service


def test_trust_in_anyone_is_never_read_from_a_file(tmp_path: Path) -> None:
    """Not from one's own either: the environment says it, for one command."""
    with pytest.raises(ConfigError, match=r"ragkit\.toml") as caught:
        given(folder(tmp_path, 'insecure_tls_host = "api.openai.com"'))
    assert "RAGKIT_INSECURE_TLS_HOST" in caught.value.hint


@pytest.mark.parametrize("line", ["verify = false", "gigachat_verify = false"])
def test_their_file_does_not_end_the_check_of_certificates(tmp_path: Path, line: str) -> None:
    """Whatever key is used, their own too: no host is named, and a file could not name one."""
    key = 'gigachat_credentials = "k"' if line.startswith("gigachat") else 'openai_api_key = "k"'
    with pytest.raises(ConfigError, match="no host is named"):
        connect(given(folder(tmp_path, line, key)))


def test_a_file_runs_nothing(tmp_path: Path) -> None:
    """No value is a command: what looks like one is text, or no setting at all."""
    marker = tmp_path / "ran"
    for line in (
        f'chat_model = "$(touch {marker})"',
        f'provider = "`touch {marker}`"',
        f'document_prefix = "|touch {marker}"',
        f'pager = "touch {marker}"',
        f'[hooks]\nindex = "touch {marker}"',
    ):
        with pytest.raises(ConfigError):
            connect(given(folder(tmp_path, line)))
    assert not marker.exists()


@POSIX
@pytest.mark.parametrize(
    "place",
    [
        "writer.lock",
        "catalog.sqlite",
        "catalog.sqlite-wal",
        "catalog.sqlite-shm",
        "vectors",
        "lexical",
        "ann",
        "lexical/*/sums.json",
        "lexical/*/sums.json.new",
        "lexical/*/chunks/meta.json",
        "lexical/*/chunks/.managed.json",
        "lexical/*/chunks/.tantivy-writer.lock",
        "ann/codes.new",
        "ann/codes",
    ],
)
def test_a_link_in_their_index_leads_to_no_file_of_yours(tmp_path: Path, place: str) -> None:
    """Whatever is a link in it: neither a search, nor indexing, nor a check writes to what it points at."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("Залог возвращается.", "utf-8")
    index = tmp_path / "theirs" / ".ragkit"
    with ragkit.open(index) as rag:
        rag.index_folder(docs)
        rag.search("залог")
    yours = tmp_path / "yours"
    yours.mkdir()
    (yours / "seg-notes").write_text("yours", "utf-8")
    (yours / "file").write_text("yours", "utf-8")
    if place.startswith("ann/"):
        (index / "ann").mkdir()
    [parent] = index.glob(place.rpartition("/")[0]) if "/" in place else [index]
    link = parent / place.rpartition("/")[2]
    folder_wanted = "." not in link.name and link.name != "codes"
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(yours if folder_wanted else yours / "file", target_is_directory=folder_wanted)
    (docs / "b.md").write_text("Аванс не возвращается.", "utf-8")
    for act in (
        lambda rag: rag.search("залог"),
        lambda rag: rag.check(),
        lambda rag: rag.index_folder(docs),
        lambda rag: rag.search("аванс"),
        lambda rag: rag.remove("a.md"),
    ):
        with ragkit.open(index) as rag, suppress(StoreError):
            act(rag)
    assert sorted(path.name for path in yours.iterdir()) == ["file", "seg-notes"]
    assert {path.read_text("utf-8") for path in yours.iterdir()} == {"yours"}
