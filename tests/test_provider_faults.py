"""Whole indexing runs against a service that breaks in every known way: what passes is finished, what does not is
named, no vector is ever that of another text, and what was paid for is kept.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from faultapi.desk import CHUNKS, Desk
from faultapi.embeddings import FAULTS, LONGEST, RIGHT
from faultapi.healthy import Service, always, once
from faultapi.server import FaultApi

from ragkit.errors import ApiError, ProviderError, RagkitError
from ragkit.providers.embedding import CANARY
from ragkit.services import connect
from ragkit.settings import load_settings

KEY = "sk-key-of-the-faults"


def run(desk: Desk, service: Service, *, retries: int = 2) -> RagkitError | None:
    """Index the folder; the error that ended the run. All patience is short."""
    with FaultApi(service) as api:
        settings = load_settings(
            {
                "provider": "openai",
                "base_url": api.url,
                "api_key": KEY,
                "slots": 2,
                "retries": retries,
                "timeout": 0.25,
                "deadline": 1.0,
            },
            environ={},
        )
        with (
            closing(connect(settings, "embed")) as provider,
            desk.rag(provider.embedder("vectors-1", batch_items=16)) as rag,
        ):
            try:
                report = rag.index_folder(desk.folder)
            except RagkitError as error:
                return error
        assert report.failed == 0
    return None


def judge(desk: Desk, error: RagkitError | None, end: type[RagkitError] | str, *, cut: int = 0) -> None:
    """The run came to its end, and whatever is in the index is right."""
    if end == RIGHT:
        assert error is None, error
        assert desk.vectors() == len(desk.stored()) == CHUNKS
    else:
        assert type(error) is end or (end is ProviderError and isinstance(error, end)), error
        assert error.message
        assert error.hint
        assert KEY not in f"{error} {error.hint}"
    desk.check(cut=cut)


def cut_of(name: str) -> int:
    return LONGEST if name == "413 with an index" else 0


@pytest.mark.parametrize("name", FAULTS)
def test_one_broken_answer(desk: Desk, name: str) -> None:
    """One request of four meets the fault: the run completes with one right vector for each chunk, or it is named why
    another try would be no better.
    """
    fault = FAULTS[name]
    service = Service(fault.answer, once)
    error = run(desk, service)
    assert service.hits == 1, error
    judge(desk, error, fault.once, cut=cut_of(name))


@pytest.mark.parametrize("name", FAULTS)
def test_a_service_that_stays_broken(desk: Desk, name: str) -> None:
    """All but two requests for chunks meet the fault: what was paid for is kept, and a healthy service gets the rest.

    What a run must put up with meets it from its first request on.
    """
    fault = FAULTS[name]
    broken = Service(fault.answer, always if fault.always != RIGHT else lambda _: True)
    error = run(desk, broken, retries=3 if fault.always == RIGHT else 0)
    assert broken.hits, error
    judge(desk, error, fault.always, cut=cut_of(name))
    if error is None:
        return
    healthy = Service()
    kept = desk.vectors()
    judge(desk, run(desk, healthy), RIGHT)
    for service in (broken, healthy):
        assert service.paid.pop(CANARY) == 1
    assert kept == broken.paid.total() > 0
    assert broken.paid + healthy.paid == dict.fromkeys(desk.stored(), 1)


def test_a_redirect_is_not_followed(desk: Desk) -> None:
    """Neither the key nor a text goes where a service points; the error names the host."""
    error = run(desk, elsewhere := Service(FAULTS["redirect to itself"].answer, lambda _: True), retries=3)
    assert isinstance(error, ApiError)
    assert elsewhere.asked <= 2  # one for each slot


def test_a_service_that_answers_twice_is_asked_on_new_connections() -> None:
    """Once an answer was there before its question, no connection is used twice: one request is lost, no more."""
    service = Service(FAULTS["answered twice"].answer, lambda _: True)
    with FaultApi(service) as api:
        settings = load_settings({"provider": "openai", "base_url": api.url, "api_key": KEY, "slots": 1}, environ={})
        with closing(connect(settings, "embed")) as provider:
            embedder = provider.embedder("vectors-1")
            for n in range(8):
                embedder.embed_documents([f"text {n}"])
    assert service.asked == 8 + 1
