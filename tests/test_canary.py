"""A service may put another model behind the same name. An index notices before vectors of two models are mixed."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from faultapi.desk import CHUNKS, Desk
from faultapi.healthy import DIMENSION, Service, items, reply, right, texts_of, tokens_of, vector_of
from faultapi.server import Answer, FaultApi, Request, Wire

from ragkit.embedding_run import SAME
from ragkit.errors import BudgetExceeded, IndexMismatch
from ragkit.providers.embedding import CANARY, RemoteEmbedder
from ragkit.providers.openai import OpenAICompatible
from ragkit.reports import IndexReport
from ragkit.store.local import LocalStore


def embedder(api: FaultApi, revision: str = "") -> RemoteEmbedder:
    return OpenAICompatible(api.url, "key", slots=2).embedder("vectors-1", batch_items=16, revision=revision)


def index(desk: Desk, service: Service, **limits: int) -> IndexReport:
    with FaultApi(service) as api, desk.rag(embedder(api)) as rag:
        return rag.index_folder(desk.folder, **limits)  # type: ignore[arg-type]  # the tests name the limits


def speaking(make: object) -> Answer:
    """A service whose vector of a text is `make(text)`."""

    def answer(wire: Wire, request: Request) -> bool:
        texts = texts_of(request)
        data = [{**item, "embedding": make(text)} for item, text in zip(items(texts), texts, strict=True)]  # type: ignore[operator]
        wire.say(200, reply(data))
        return True

    return answer


another_model = speaking(lambda text: vector_of("2" + text))


def write(desk: Desk, text: str = "Новый договор: ключ у соседа.") -> None:
    (desk.folder / "new.txt").write_text(text, encoding="utf-8")


def test_a_model_that_changed_silently_is_noticed_before_anything_is_stored(desk: Desk) -> None:
    """One small request and its repeat are all that is paid; the error has the cure, the index is as it was."""
    index(desk, Service())
    before = desk.stored()
    write(desk)
    changed = Service(healthy=another_model)
    with pytest.raises(IndexMismatch, match=r"vectors-1 with another model .* cosine is -?0\.") as caught:
        index(desk, changed)
    assert "embed_revision" in caught.value.hint
    assert "ragkit index --reembed" in caught.value.hint
    assert changed.paid == {CANARY: 2}
    assert caught.value.usage is not None
    assert caught.value.usage.embedding_tokens == 2 * tokens_of(CANARY)
    after = desk.stored()
    assert before.keys() == after.keys()
    desk.check()


def test_a_new_revision_is_the_cure(desk: Desk) -> None:
    """The index is moved to the model that answers now, by its new name; afterwards indexing goes on."""
    index(desk, Service())
    changed = Service(healthy=another_model)
    with FaultApi(changed) as api, desk.rag(embedder(api, "2")) as rag:
        assert rag.reembed().embedded == CHUNKS
        write(desk)
        assert rag.index_folder(desk.folder).embedded == 1
        assert rag.status().embedding_model == "vectors-1?revision=2"
    assert all(count == 1 for text, count in changed.paid.items() if text != CANARY)
    assert changed.paid[CANARY] == 2  # one for each run
    for text, row in desk.stored().items():
        vector = np.array(vector_of("2" + text))
        np.testing.assert_allclose(row, vector / np.linalg.norm(vector), atol=5e-4)


def test_another_dimension_is_another_model(desk: Desk) -> None:
    """Vectors of another length are told as a change, not as nonsense."""
    index(desk, Service())
    write(desk)
    with pytest.raises(IndexMismatch, match=f"was {DIMENSION} numbers is {DIMENSION - 2} now"):
        index(desk, Service(healthy=speaking(lambda text: vector_of(text)[:-2])))


@pytest.mark.parametrize("noise", [1e-7, 1e-4, 1e-2])
def test_a_service_need_not_be_exact(desk: Desk, noise: float) -> None:
    """Noise of a hundredth of a vector's length is no other model, nor is another length."""
    index(desk, Service())
    write(desk)
    chance = np.random.default_rng(0)

    def noisy(text: str) -> list[float]:
        row = np.array(vector_of(text))
        off = chance.normal(size=DIMENSION)
        return list(29.2 * (row + noise * np.linalg.norm(row) * off / np.linalg.norm(off)))

    assert index(desk, Service(healthy=speaking(noisy))).embedded == 1


def test_one_wrong_answer_is_no_other_model(desk: Desk) -> None:
    """A vector that differs is asked for again before anything is said of the model."""
    index(desk, Service())
    write(desk)
    assert index(desk, Service(another_model, lambda number: number == 1)).embedded == 1
    desk.check()


def test_a_run_that_embeds_nothing_asks_nothing(desk: Desk) -> None:
    """An unchanged folder costs no request, whatever the service is by now."""
    index(desk, Service())
    changed = Service(healthy=another_model)
    assert index(desk, changed).unchanged
    assert not changed.asked


def test_the_canary_is_on_the_bill_and_in_the_forecast(desk: Desk) -> None:
    """To the token, and it is the first thing that a limit stops."""
    service = Service()

    def counted(model: str, texts: list[str]) -> list[int]:  # noqa: ARG001 - the seam's signature
        return [tokens_of(text) for text in texts]

    with FaultApi(service) as api:
        send = OpenAICompatible(api.url, "key").embed
        with desk.rag(RemoteEmbedder(send, "vectors-1", count=counted)) as rag:  # type: ignore[arg-type]
            for _ in range(2):
                forecast = rag.index_folder(desk.folder, dry_run=True).usage
                billed = rag.index_folder(desk.folder).usage
                assert forecast == billed
                write(desk)
            assert service.paid[CANARY] == 2
            write(desk, "Другой договор.")
            with pytest.raises(BudgetExceeded):
                rag.index_folder(desk.folder, max_tokens=tokens_of(CANARY) - 1)


def test_an_index_without_a_canary_gets_one(desk: Desk) -> None:
    """As one that an earlier version made: what answers now is taken for the model from then on."""
    index(desk, Service())
    with LocalStore(desk.index).writing() as writer:
        writer._catalog.remove_meta("canary vectors-1")  # type: ignore[attr-defined]
    write(desk)
    index(desk, Service())
    with LocalStore(desk.index).writing() as writer:
        kept = writer.canary("vectors-1")
    assert kept is not None
    assert kept[0] == CANARY
    row = np.array(vector_of(CANARY))
    assert float(kept[1] @ row / np.linalg.norm(row)) > SAME


def test_the_same_text_is_compared_whatever_the_canary_is_now(desk: Desk) -> None:
    """A later version may choose another text; the index compares the one that it has."""
    with FaultApi(Service()) as api, closing(OpenAICompatible(api.url, "key")) as provider:
        [row], _ = provider.embed("vectors-1", ["Старая канарейка"])
    with LocalStore(desk.index).writing() as writer:
        writer.keep_canary("vectors-1", "Старая канарейка", row)
    service = Service(right, lambda _: False)
    index(desk, service)
    assert service.paid["Старая канарейка"] == 1
    assert CANARY not in service.paid
