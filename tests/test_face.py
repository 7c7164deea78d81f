"""The face of the library: the names it offers."""

from __future__ import annotations

import pytest

import ragkit


def test_every_public_name_exists_and_is_listed_once() -> None:
    """`ragkit.__all__` holds no name twice and none that cannot be had."""
    assert len(set(ragkit.__all__)) == len(ragkit.__all__)
    for name in ragkit.__all__:
        assert getattr(ragkit, name) is not None
    assert set(ragkit.__all__) <= set(dir(ragkit))


@pytest.mark.parametrize("name", ["open", "RAG", "Document", "Chunk", "Hit", "Answer", "Citation", "RagkitError"])
def test_what_the_readme_promises_is_in_the_face(name: str) -> None:
    """The names of the documentation are importable from `ragkit` itself."""
    assert name in ragkit.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A lazy face still answers like a module: the name is in the message."""
    with pytest.raises(AttributeError, match="no_such_name"):
        ragkit.no_such_name  # noqa: B018 - the access is the test


def test_the_errors_of_the_face_are_one_tree() -> None:
    """Whoever catches RagkitError catches everything that is raised on purpose."""
    errors = [getattr(ragkit, name) for name in ragkit.__all__]
    exceptions = [each for each in errors if isinstance(each, type) and issubclass(each, Exception)]
    assert exceptions
    assert all(issubclass(each, ragkit.RagkitError) for each in exceptions)
