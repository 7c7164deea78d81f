"""A streamed answer that breaks is never taken for a whole one, and nothing of it is said twice."""

from __future__ import annotations

from contextlib import closing

import pytest
from faultapi.healthy import ANSWER, Service
from faultapi.server import FaultApi
from faultapi.streams import FAULTS

from ragkit.errors import RagkitError, StreamInterrupted
from ragkit.messages import Completion, Message
from ragkit.providers.openai import OpenAICompatible


def read(service: Service) -> tuple[str, Completion | None, RagkitError | None]:
    """What a reader was shown, the whole answer, and the error in its place."""
    shown, whole = "", None
    with FaultApi(service) as api:
        provider = OpenAICompatible(api.url, "sk-key", chat_model="words-1", retries=1, timeout=0.3, deadline=0.3)
        with closing(provider):
            try:
                for delta in provider.stream([Message("user", "За сколько дней?")]):
                    shown += delta.text
                    whole = delta.completion or whole
            except RagkitError as error:
                return shown, whole, error
    return shown, whole, None


@pytest.mark.parametrize("name", FAULTS)
def test_a_stream_that_is_always_broken(name: str) -> None:
    """It is whole, or it is an error that holds what was shown; a piece that was shown is never asked for again."""
    fault = FAULTS[name]
    service = Service(fault.answer, lambda _: True, path="/chat/completions")
    shown, whole, error = read(service)
    assert shown == fault.text
    assert service.asked == 1 + fault.repeated
    if fault.end is None:
        assert error is None, error
        assert whole is not None
        assert (whole.text, whole.finish_reason) == (shown, fault.reason)
        return
    assert type(error) is fault.end, error
    assert whole is None
    assert error.hint
    if isinstance(error, StreamInterrupted):
        assert error.partial == shown


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.repeated])
def test_a_stream_that_breaks_before_its_first_piece_is_begun_again(name: str) -> None:
    """The reader sees the second one, whole."""
    service = Service(FAULTS[name].answer, lambda number: number == 1, path="/chat/completions")
    shown, whole, error = read(service)
    assert error is None, error
    assert whole is not None
    assert shown == whole.text == ANSWER
    assert service.asked == 2
