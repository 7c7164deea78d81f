"""Walking a folder: everything that is not indexed has a name and a reason."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ragkit.errors import LoadError
from ragkit.folders import FoundFile, find, opened, walk
from ragkit.store.local import LocalStore


def found(folder: Path, max_file_size: int = 1000) -> dict[str, FoundFile]:
    return {file.source: file for file in walk(folder, max_file_size=max_file_size)}


def reasons(folder: Path) -> dict[str, str]:
    return {source: file.problem.reason for source, file in found(folder).items() if file.problem}


def test_files_come_in_order_with_posix_paths(tmp_path: Path) -> None:
    """Sources are relative to the folder, in any alphabet."""
    for name in ("б.txt", "a/в.txt", "a/b/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    assert list(found(tmp_path)) == ["a/b/c.txt", "a/в.txt", "б.txt"]


def test_hidden_files_and_sidecars_are_no_documents(tmp_path: Path) -> None:
    """A sidecar belongs to its file; one that belongs to none is a file like any other."""
    for name in (".git/config", ".env", "a.txt", "a.txt.meta.json", "lonely.meta.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    files = found(tmp_path)
    assert list(files) == ["a.txt", "lonely.meta.json"]
    assert files["a.txt"].stamp.sidecar
    assert not files["lonely.meta.json"].stamp.sidecar


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made as POSIX makes them")
def test_an_index_holds_no_documents(tmp_path: Path) -> None:
    """Whichever it is: one with another name lies in the folder as well as the one in use."""
    (tmp_path / "kite.txt").write_text("A kite.")
    with LocalStore(tmp_path / "notes" / "my-index").writing():
        pass
    (tmp_path / "notes" / "catalog.sqlite").write_text("no index by itself")
    assert list(found(tmp_path)) == ["kite.txt", "notes/catalog.sqlite"]


def test_links_pipes_and_sockets_are_named_not_opened(tmp_path: Path) -> None:
    """A link within the folder loses nothing and is silent; every other oddity has its reason."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "real.txt").write_text("text")
    (folder / "inside.txt").symlink_to("real.txt")
    (folder / "loop").symlink_to(".")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "broken.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)  # a socket's path must be short
        server.bind("socket.txt")
    assert reasons(folder) == {
        "outside": "a link that leads out of the folder",
        "broken.txt": "a link that leads nowhere",
        "pipe.txt": "not a regular file (a pipe, a socket or a device)",
        "socket.txt": "not a regular file (a pipe, a socket or a device)",
    }
    assert [source for source, file in found(folder).items() if not file.problem] == ["real.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file have a name of any bytes")
def test_a_name_that_is_not_utf8_is_reported_readably(tmp_path: Path) -> None:
    """Such a name cannot be stored or printed; its escaped form can."""
    (Path(os.fsdecode(bytes(tmp_path) + b"/\xef\xf0.txt"))).write_text("text")
    assert reasons(tmp_path) == {"\\xef\\xf0.txt": "its name is not valid UTF-8"}


def test_a_giant_is_refused_by_its_size(tmp_path: Path) -> None:
    """Sparse or full, it is never read."""
    with (tmp_path / "giant.txt").open("wb") as file:
        file.truncate(8 << 30)
    assert reasons(tmp_path) == {"giant.txt": "it has 8\u202f589\u202f934\u202f592 bytes, the limit is 1\u202f000"}


def test_one_file_is_found_as_its_folder_would_find_it(tmp_path: Path) -> None:
    """With its sidecar and without its neighbours."""
    for name in ("a.txt", "a.txt.meta.json", "b.txt"):
        (tmp_path / name).write_text("{}")
    assert find(tmp_path / "a.txt", max_file_size=1000) == found(tmp_path)["a.txt"]


def test_an_open_file_brings_its_checksum_and_its_sidecar(tmp_path: Path) -> None:
    """Keys of the sidecar keep their types."""
    (tmp_path / "a.txt").write_text("abc")
    (tmp_path / "a.txt.meta.json").write_text('{"year": 2024, "author": "Иванов", "signed": true}')
    with opened(found(tmp_path)["a.txt"]) as file:
        assert file.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert file.stream.read() == b"abc"
        assert file.metadata == {"year": 2024, "author": "Иванов", "signed": True}
        assert file.metadata["signed"] is True  # which equals 1


@pytest.mark.parametrize("text", ['["a"]', '{"a": {"b": 1}}', "{", '{"a": null}'])
def test_a_sidecar_that_is_no_flat_object_is_named(tmp_path: Path, text: str) -> None:
    """The document is not indexed without metadata that its owner meant it to have."""
    (tmp_path / "a.txt").write_text("abc")
    (tmp_path / "a.txt.meta.json").write_text(text)
    with pytest.raises(LoadError, match=r"its \.meta\.json"), opened(found(tmp_path)["a.txt"]):
        pass


def test_a_file_that_changes_while_it_is_read_is_no_version_of_itself(tmp_path: Path) -> None:
    """What was read is given up."""
    path = tmp_path / "a.txt"
    path.write_text("abc")

    def read() -> None:
        with opened(found(tmp_path)["a.txt"]):
            path.write_text("abcd")

    with pytest.raises(LoadError, match="changed while it was read"):
        read()


@pytest.mark.skipif(sys.platform == "win32", reason="links are made as POSIX makes them")
def test_a_file_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    """Between the walk and the opening lies time enough to swap it."""
    path = tmp_path / "a.txt"
    path.write_text("abc")
    file = found(tmp_path)["a.txt"]
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(LoadError, match="become a link"), opened(file):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="folders this deep are made and opened name by name")
@pytest.mark.parametrize(
    "name", ["d", "d" * 200], ids=["deeper than the interpreter's stack", "longer than a path may be"]
)
def test_however_deep_a_file_lies_it_is_found_and_read(tmp_path: Path, name: str) -> None:
    """More folders than Python calls may stand in one another; more letters than the system takes as one path."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200 // len(name) + 20):
        os.mkdir(name, dir_fd=here)
        here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    for file, text in ((f"{name}.txt", "deep"), (f"{name}.txt.meta.json", '{"year": 2024}')):
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, dir_fd=here), "w") as stream:
            stream.write(text)
    os.close(here)
    try:
        (file,) = found(tmp_path).values()
        assert file.problem is None
        with opened(file) as content:
            assert (content.stream.read(), content.metadata) == (b"deep", {"year": 2024})
    finally:
        subprocess.run(["rm", "-rf", tmp_path / name], check=True)  # Python's own ways go no deeper than its stack


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file have a name of any bytes")
def test_where_a_link_leads_can_be_stored_and_printed(tmp_path: Path) -> None:
    """Also to a name that is not UTF-8."""
    outside, folder = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe")), tmp_path / "docs"
    outside.mkdir()
    folder.mkdir()
    (folder / "link.txt").symlink_to(outside)
    problem = found(folder)["link.txt"].problem
    assert problem is not None
    assert problem.cure.encode().endswith(b"\\xff\\xfe itself")
