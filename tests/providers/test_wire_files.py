"""Files that a service keeps: what it says of them, and what it takes."""

import pytest

from ragkit.errors import BadResponse, ConfigError
from ragkit.messages import RemoteFile
from ragkit.providers.wire.files import LIMITS, check_upload, deleted, file_type, remote_file, remote_files

FILE = {
    "bytes": 120000,
    "created_at": 1677610602,
    "filename": "file123",
    "id": "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e",
    "object": "file",
    "purpose": "general",
    "access_policy": "private",
}
ID = "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e"


def test_a_file_and_a_list_of_files() -> None:
    """The list is under `data`, in its order."""
    wanted = RemoteFile(ID, "file123", 120000, 1677610602, "general", "private")
    assert remote_file(FILE) == wanted
    assert remote_files({"data": [FILE, {"id": "b"}]}) == [wanted, RemoteFile("b", "", 0)]


@pytest.mark.parametrize("given", [None, [], {}, {"id": ""}, {"id": 5}])
def test_a_file_without_an_id_is_no_file(given: object) -> None:
    """Nothing could be done with it."""
    with pytest.raises(BadResponse):
        remote_file(given)


def test_a_deletion_says_whether_it_happened() -> None:
    """A reply that does not say is an error, not a yes."""
    assert deleted({"id": ID, "deleted": True})
    assert not deleted({"id": ID, "deleted": False})
    for given in ({"id": ID}, {"id": ID, "deleted": "true"}, None):
        with pytest.raises(BadResponse):
            deleted(given)


@pytest.mark.parametrize(
    ("name", "media_type", "kind"),
    [
        ("договор.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "text"),
        ("договор.doc", "application/msword", "text"),
        ("a.PDF", "application/pdf", "text"),
        ("notes.md", "text/plain", "text"),
        ("archive.tar.txt", "text/plain", "text"),
        ("photo.JPG", "image/jpeg", "image"),
        ("scan.tif", "image/tiff", "image"),
        ("talk.opus", "audio/ogg", "audio"),
    ],
)
def test_media_types_are_those_of_iana(name: str, media_type: str, kind: str) -> None:
    """The documentation of the service has doc and docx the wrong way round."""
    found = file_type(name)
    assert (found.media_type, found.kind) == (media_type, kind)


@pytest.mark.parametrize("name", ["setup.exe", "Makefile", "a.zip", ".txt"])
def test_an_unknown_ending_names_what_is_taken(name: str) -> None:
    """Before the file is sent."""
    with pytest.raises(ConfigError, match="does not take") as error:
        file_type(name)
    assert "docx" in error.value.hint


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.mp3"])
def test_each_kind_has_its_own_limit(name: str) -> None:
    """A byte more is too much; callers may bring other limits."""
    limit = LIMITS[file_type(name).kind]
    assert check_upload(name, limit) == file_type(name)
    with pytest.raises(ConfigError, match=f"has {limit + 1} bytes, the most"):
        check_upload(name, limit + 1)
    limits = dict.fromkeys(LIMITS, 10)
    with pytest.raises(ConfigError, match="has 11 bytes"):
        check_upload(name, 11, limits=limits)


def test_an_empty_file_is_not_sent() -> None:
    """There is nothing in it to read."""
    with pytest.raises(ConfigError, match=r"'a\.txt' is empty"):
        check_upload("dir/a.txt", 0)
