"""Certificates, against a real TLS server on this machine with an authority made for the test by openssl."""

from __future__ import annotations

import logging
import select
import shutil
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faults import Faults, Request, say

from ragkit.errors import BadResponse, ConfigError, ConnectionFailed
from ragkit.providers.authorization import ApiKey
from ragkit.providers.gigachat import GigaChat
from ragkit.providers.http import Http, Reply
from ragkit.providers.openai import OpenAICompatible
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.providers.tls import context
from ragkit.secret import Secret
from ragkit.services import connect
from ragkit.settings import load_settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")

PASSWORD = "пароль-of-the-key"


@dataclass(frozen=True)
class Papers:
    folder: Path

    def __getattr__(self, name: str) -> str:
        """`ca_pem` is the path of ca.pem."""
        return str(self.folder / name.replace("_", "."))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """An authority, a server for localhost, and a client whose key has a password."""
    folder = tmp_path_factory.mktemp("papers")

    def openssl(line: str, *last: str) -> None:
        subprocess.run(["openssl", *line.split(), *last], cwd=folder, check=True, capture_output=True)

    key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    openssl(f"{key} -keyout ca.key -out ca.pem -subj", "/CN=Russian Trusted Test CA")
    for name, extra in (
        ("server", "-addext subjectAltName=DNS:localhost"),
        ("client", "-addext basicConstraints=CA:FALSE"),
        ("pictures", "-addext subjectAltName=DNS:cdn.invalid"),
    ):
        openssl(f"{key} -CA ca.pem -CAkey ca.key -keyout {name}.key -out {name}.pem {extra} -subj", f"/CN={name}")
    openssl("x509 -in ca.pem -outform DER -out ca.der")
    openssl("ec -in client.key -aes256 -out client.locked -passout", f"pass:{PASSWORD}")
    (folder / "ca.noted").write_bytes("Корневой сертификат\n".encode("cp1251") + (folder / "ca.pem").read_bytes())
    (folder / "no.pem").write_text("not a certificate")
    return Papers(folder)


def server_of(papers: Papers, *, asks: bool = False, name: str = "server") -> Faults:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(getattr(papers, f"{name}_pem"), getattr(papers, f"{name}_key"))
    if asks:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(papers.ca_pem)
    return Faults(say(200, {"ok": 1}), tls=tls)


def get(server: Faults, **files: object) -> object:
    http = Http(
        server.url,
        ApiKey(Secret("key")),
        slots=Slots(1),
        tls=lambda: context(**files),  # type: ignore[arg-type]  # the tests name the arguments
        retry=Retry(tries=3, first=0.001),
    )
    try:
        return http.request("GET", "/", parse=Reply.json)
    finally:
        http.close()


def test_an_unknown_authority_is_refused_with_the_cure(papers: Papers) -> None:
    """Once, not three times; the hint names the root certificate and its setting, and not the way to trust anyone."""
    with server_of(papers) as server, pytest.raises(ConnectionFailed, match="not trusted") as caught:
        get(server)
    assert "Russian Trusted Root CA" in caught.value.hint
    assert "gigachat_ca_file" in caught.value.hint
    assert "verif" not in caught.value.hint
    assert "tried" not in caught.value.message
    assert not server.requests


@pytest.mark.parametrize("form", ["ca_pem", "ca_der", "ca_noted"])
def test_one_more_authority_is_trusted(papers: Papers, form: str) -> None:
    """PEM, DER, and PEM with words around it in an old encoding."""
    with server_of(papers) as server:
        assert get(server, ca_file=getattr(papers, form)) == {"ok": 1}


def test_the_usual_authorities_stay(papers: Papers) -> None:
    """The file is added to the system's authorities; it does not take their place."""
    assert context(papers.ca_pem).cert_store_stats()["x509"] == context().cert_store_stats()["x509"] + 1


def test_the_name_is_checked(papers: Papers) -> None:
    """A good certificate for another name is no good one."""
    with server_of(papers) as server:
        url = server.url.replace("localhost", "127.0.0.1")
        http = Http(url, ApiKey(Secret("key")), slots=Slots(1), tls=lambda: context(papers.ca_pem))
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1"):
            http.request("GET", "/", parse=Reply.json)
    assert not server.requests


@pytest.mark.parametrize(("key", "password"), [("client_key", None), ("client_locked", Secret(PASSWORD))])
def test_a_client_certificate_goes_with_an_authority(papers: Papers, key: str, password: Secret | None) -> None:
    """Both at once, with a locked key too."""
    with server_of(papers, asks=True) as server:
        files = {"ca_file": papers.ca_pem, "cert_file": papers.client_pem, "key_file": getattr(papers, key)}
        assert get(server, **files, key_password=password) == {"ok": 1}


def test_a_missing_client_certificate_is_guessed(papers: Papers) -> None:
    with server_of(papers, asks=True) as server, pytest.raises(ConnectionFailed, match="handshake") as caught:
        get(server, ca_file=papers.ca_pem)
    assert "GIGACHAT_CERT_FILE" in caught.value.hint


def openai(server: Faults, **more: Any) -> OpenAICompatible:
    return OpenAICompatible(server.url, "key", chat_model="m", retries=0, **more)


def test_verification_ends_for_a_named_host_and_is_said_once(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    """By its name alone, however the port; the warning names it, once for a service that is opened."""
    with (
        server_of(papers) as server,
        caplog.at_level(logging.WARNING, logger="ragkit"),
        openai(server, insecure_hosts=["localhost"]) as service,
    ):
        for _ in range(2):
            with pytest.raises(BadResponse):
                service.models()  # the server says {"ok": 1}, which is no list of models
    assert len(server.requests) == 2
    assert len([record for record in caplog.records if "localhost is not checked" in record.message]) == 1


@pytest.mark.parametrize("named", ["127.0.0.1", "host", "ocalhost", "localhost.", "xlocalhost"])
def test_another_name_ends_nothing(papers: Papers, named: str) -> None:
    untrusted = pytest.raises(ConnectionFailed, match="not trusted")
    with server_of(papers) as server, openai(server, insecure_hosts=[named]) as service, untrusted:
        service.models()
    assert not server.requests


@pytest.mark.parametrize("who", [{"credentials": "aWQ6c2VjcmV0"}, {"user": "u", "password": "secret"}])
def test_a_key_that_lasts_is_not_shown_to_an_unchecked_host(papers: Papers, who: dict[str, str]) -> None:
    """Before anything is sent; a token of 30 minutes may go, as the hint says."""
    with server_of(papers) as server:
        trusting: dict[str, Any] = {
            "base_url": server.url,
            "auth_url": f"{server.url}/oauth",
            "insecure_hosts": ["localhost"],
        }
        refused = pytest.raises(ConfigError, match="is not sent to localhost")
        with GigaChat(**who, **trusting, retries=0) as giga, refused as caught:  # type: ignore[arg-type]  # as in `get`
            giga.models()
        assert "GIGACHAT_ACCESS_TOKEN" in caught.value.hint
        assert "GIGACHAT_CA_BUNDLE_FILE" in caught.value.hint
        assert not server.requests
        with GigaChat(access_token="token-of-this-test", **trusting, retries=0) as giga, pytest.raises(BadResponse):
            giga.models()
        assert len(server.requests) == 1


def test_checks_that_are_switched_off_need_a_name(papers: Papers) -> None:
    """GIGACHAT_VERIFY_SSL_CERTS=false alone is an error with the cure; with a name, that host alone is unchecked."""
    with server_of(papers) as server:
        environ = {
            "GIGACHAT_ACCESS_TOKEN": "token-of-this-test",
            "GIGACHAT_BASE_URL": server.url,
            "GIGACHAT_VERIFY_SSL_CERTS": "false",
            "RAGKIT_RETRIES": "0",
        }
        with pytest.raises(ConfigError, match="no host is named") as caught:
            connect(load_settings(environ=environ, cwd="/"))
        assert "GIGACHAT_CA_BUNDLE_FILE" in caught.value.hint
        assert "RAGKIT_INSECURE_TLS_HOST" in caught.value.hint
        for named, trusted in (("api.giga.chat", False), ("LocalHost, api.giga.chat", True)):
            settings = load_settings(environ={**environ, "RAGKIT_INSECURE_TLS_HOST": named}, cwd="/")
            with connect(settings) as service, pytest.raises(BadResponse if trusted else ConnectionFailed):
                service.models()
    assert len(server.requests) == 1


@pytest.mark.parametrize("named", ["*", "https://localhost", "localhost:443", "*.sberbank.ru", "a b"])
def test_no_pattern_names_a_host(named: str) -> None:
    with pytest.raises(ConfigError, match="no name of a host"):
        load_settings(environ={"RAGKIT_INSECURE_TLS_HOST": named}, cwd="/")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca_file": "none_pem"}, "cannot be read"),
        ({"ca_file": "no_pem"}, "no certificate"),
        ({"cert_file": "client_pem", "key_file": "server_key"}, "cannot be used"),
        ({"cert_file": "client_pem", "key_file": "client_locked"}, "cannot be used"),
        ({"cert_file": "none_pem"}, "cannot be read"),
        ({"key_file": "client_key"}, "without a certificate"),
    ],
)
def test_a_wrong_file_is_named(papers: Papers, files: dict[str, str], words: str) -> None:
    """Nothing asks on the terminal for a password that is not given."""
    with pytest.raises(ConfigError, match=words) as caught:
        context(**{name: getattr(papers, file) for name, file in files.items()})  # type: ignore[arg-type]  # as above
    assert str(papers.folder) in caught.value.message


def test_a_judged_address_is_asked_for_by_its_name(papers: Papers) -> None:
    """The certificate is compared with the name, whatever address the name was judged by."""
    with server_of(papers, name="pictures") as server:
        for name, trusted in (("cdn.invalid", True), ("other.invalid", False)):
            http = Http(
                f"https://{name}:{server.port}",
                ApiKey(Secret("")),
                slots=Slots(1),
                tls=lambda: context(papers.ca_pem),
                retry=Retry(tries=1),
                pinned=["127.0.0.1"],
            )
            with closing(http), nullcontext() if trusted else pytest.raises(ConnectionFailed, match="not trusted"):
                assert http.request("GET", "/", parse=Reply.json) == {"ok": 1}
    assert len(server.requests) == 1


def test_the_authority_of_a_service_does_not_vouch_for_other_hosts(papers: Papers) -> None:
    """A picture on another host is fetched with the trust that everybody has; by a proxy that leads to a double."""
    with server_of(papers, name="pictures") as double:

        def proxy(connection: socket.socket, request: Request) -> bool:
            if request.method == "CONNECT":
                return tunnel(connection, double.port)
            drawn = {"data": [{"url": f"https://cdn.invalid:{double.port}/x.png"}]}
            return say(200, drawn)(connection, request)

        with Faults(proxy) as way:
            service = OpenAICompatible(
                "http://127.0.0.1:1/v1",
                preset="vllm",
                image_model="m",
                ca_file=papers.ca_pem,
                proxy=way.url.removesuffix("/v1"),
                retries=0,
            )
            with service, pytest.raises(ConnectionFailed, match=r"cdn\.invalid:\d+ is not trusted"):
                list(service.generate("a cat"))
            assert [request.method for request in way.requests] == ["POST", "CONNECT"]
    assert not double.requests


def tunnel(connection: socket.socket, port: int) -> bool:
    """As a proxy does it, until either side hangs up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port)) as onward:
        pair = {connection: onward, onward: connection}
        while True:
            for ready in select.select(list(pair), [], [])[0]:
                piece = ready.recv(65_536)
                if not piece:
                    return False
                pair[ready].sendall(piece)


def test_https_to_a_plain_server_is_named() -> None:
    """A server that answers the handshake in plain HTTP is told from one whose certificate is not trusted."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        pool.submit(answer)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        http = Http(url, ApiKey(Secret("key")), slots=Slots(1), retry=Retry(tries=1))
        with pytest.raises(ConnectionFailed, match="no TLS") as caught:
            http.request("GET", "/", parse=Reply.json)
    assert "https" in caught.value.hint
