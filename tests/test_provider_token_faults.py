"""Whole indexing runs with GigaChat's token service, and with certificates, that break in every known way."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from faultapi.desk import CHUNKS, Desk
from faultapi.embeddings import RIGHT
from faultapi.healthy import Service, right, token
from faultapi.server import Answer, FaultApi, Request, Wire
from faultapi.tokens import CERTIFICATES, FAULTS, certificates, tls

from ragkit.errors import AuthenticationError, ConnectionFailed, RagkitError
from ragkit.providers.embedding import CANARY
from ragkit.providers.gigachat import GigaChat

KEY = "Y2xpZW50OnNlY3JldC1vZi10aGUtZmF1bHRz"  # base64 of id:secret


def giga(
    api: FaultApi, *, auth: FaultApi | None = None, retries: int = 2, ca_file: str = "", slots: int = 2
) -> GigaChat:
    return GigaChat(
        KEY,
        base_url=api.url,
        auth_url=f"{(auth or api).origin}/api/v2/oauth",
        slots=slots,
        retries=retries,
        timeout=0.3,
        deadline=1.0,
        ca_file=ca_file,
    )


def index(desk: Desk, provider: GigaChat) -> RagkitError | None:
    stopped: RagkitError | None = None
    with closing(provider), desk.rag(provider.embedder()) as rag:
        try:
            rag.index_folder(desk.folder)
        except RagkitError as error:
            stopped = error
    if stopped:
        assert stopped.hint
        assert KEY not in f"{stopped} {stopped.hint}"
        return stopped
    desk.check()
    assert desk.vectors() == CHUNKS
    return None


@pytest.mark.parametrize("name", FAULTS)
def test_one_broken_exchange(desk: Desk, name: str) -> None:
    """What passes is tried again, what does not is named; nothing was paid for without a token."""
    fault = FAULTS[name]
    service = Service(fault.answer, lambda number: number == 1, path="/oauth")
    with FaultApi(service) as api:
        error = index(desk, giga(api))
    assert error is None if fault.once == RIGHT else type(error) is fault.once, error


@pytest.mark.parametrize("name", FAULTS)
def test_a_token_service_that_stays_broken(desk: Desk, name: str) -> None:
    """Odd tokens are used, and not asked for before every request; all else ends the run, and the next one goes on."""
    fault = FAULTS[name]
    service = Service(fault.answer, lambda _: True, path="/oauth")
    with FaultApi(service) as api:
        error = index(desk, giga(api, retries=1))
    if fault.always == RIGHT:
        assert error is None, error
        assert service.asked <= 2
        return
    assert type(error) is fault.always, error
    assert service.asked <= 2
    assert not service.paid
    with FaultApi(Service()) as api:
        assert index(desk, giga(api)) is None


def rejecting(refused: set[str]) -> Answer:
    """A service that takes a token only where it is not one of these."""

    def answer(wire: Wire, request: Request) -> bool:
        if request.headers.get("authorization", "").removeprefix("Bearer ") in refused:
            wire.say(401, b'{"status": 401, "message": "Token has expired"}')
            return True
        return right(wire, request)

    return answer


def granting(names: list[str]) -> Answer:
    """Tokens by these names, in order; the last one for ever."""

    def answer(wire: Wire, _request: Request) -> bool:
        wire.say(200, token(name=names.pop(0) if len(names) > 1 else names[0]))
        return True

    return answer


def test_a_token_that_is_refused_at_once_is_replaced_once(desk: Desk) -> None:
    """However many requests met the refusal, there is one exchange more."""
    service = Service(granting(["dead", "good"]), lambda _: True, path="/oauth", healthy=rejecting({"dead"}))
    with FaultApi(service) as api:
        assert index(desk, giga(api)) is None
    assert service.asked == 2


def test_a_service_that_refuses_every_token_is_not_asked_for_ever(desk: Desk) -> None:
    """The second refusal is final, and the index is none the worse."""
    service = Service(
        granting(["dead", "dead-2"]), lambda _: True, path="/oauth", healthy=rejecting({"dead", "dead-2"})
    )
    with FaultApi(service) as api:
        assert type(index(desk, giga(api))) is AuthenticationError
        assert len(api.asked("/embeddings")) == 2
    assert service.asked == 2


def test_sixty_four_workers_over_five_expiries_exchange_five_times_more() -> None:
    """The token dies under them five times: each request is answered, and five further tokens are asked for."""
    dead: set[str] = set()
    lock = threading.Lock()
    given: list[str] = []

    def grant(wire: Wire, _request: Request) -> bool:
        with lock:
            given.append(f"token-{len(given)}")
            name = given[-1]
        wire.gone(0.05)  # long enough for all the others to want one too
        wire.say(200, token(name=name))
        return True

    service = Service(grant, lambda _: True, path="/oauth", healthy=rejecting(dead))
    with FaultApi(service) as api, closing(giga(api, slots=16)) as provider, ThreadPoolExecutor(64) as pool:
        embedder = provider.embedder()
        embedder.embed_query(CANARY)
        for expiry in range(5):
            dead.add(f"token-{expiry}")
            rows = list(pool.map(lambda n: embedder.embed_query(f"Вопрос {n}"), range(64)))
            assert len(rows) == 64
    assert service.asked == 1 + 5


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates of this test")
    return certificates(tmp_path_factory.mktemp("papers"))


@pytest.mark.parametrize("where", ["api", "oauth"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_that_proves_nothing_gets_no_key(desk: Desk, papers: Path, name: str, where: str) -> None:
    """One that expired, is another host's or nobody's: no request goes there, and the run ends with the reason."""
    api_tls, oauth_tls = (tls(papers, name if where == place else "good") for place in ("api", "oauth"))
    with FaultApi(Service(), tls=api_tls) as api, FaultApi(Service(), tls=oauth_tls) as auth:
        error = index(desk, giga(api, auth=auth, ca_file=str(papers / "ca.pem")))
        assert not {"api": api, "oauth": auth}[where].requests
    assert type(error) is ConnectionFailed
    assert "certificate" in str(error)


def test_a_good_certificate_is_enough(desk: Desk, papers: Path) -> None:
    """The same desk with the right papers: so it was the certificate."""
    with FaultApi(Service(), tls=tls(papers, "good")) as api:
        assert index(desk, giga(api, ca_file=str(papers / "ca.pem"))) is None


def test_a_host_that_speaks_no_tls_is_named(desk: Desk) -> None:
    """Plain HTTP where https is asked for; the key does not leave."""
    with FaultApi(Service()) as api:
        plain = api.origin.replace("http://127.0.0.1", "https://localhost")
        provider = GigaChat(
            KEY, base_url=f"{plain}/v1", auth_url=f"{plain}/oauth", retries=1, timeout=0.3, deadline=1.0
        )
        assert type(index(desk, provider)) is ConnectionFailed
        assert not api.requests
