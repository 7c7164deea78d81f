"""`ragkit doctor tls` names what a host proves itself with, and the cure for each thing that may be wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faults import Faults, say

from ragkit.providers.certificates import certificate
from ragkit.providers.connection import TLS, Connection
from ragkit.providers.inspection import Seen, inspect
from ragkit.secret import Secret

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")

SETTING = "THE_SETTING"
DATES = "-startdate 20200101000000Z -enddate 20200201000000Z"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, and certificates of a server: good, expired, self-signed, and for another name."""
    folder = tmp_path_factory.mktemp("papers")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    (folder / "index").write_text("")
    (folder / "serial").write_text("01\n")

    def openssl(line: str, *last: str) -> None:
        subprocess.run(["openssl", *line.split(), *last], cwd=folder, check=True, capture_output=True)

    key = "req -utf8 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl(f"{key} -x509 -days 2 -keyout ca.key -out ca.pem -subj", "/O=Тест/CN=Russian Trusted Root CA")
    openssl(f"{key} -x509 -days 2 -keyout other.key -out other.pem -subj", "/CN=Proxy of the office")
    signed = "-x509 -days 2 -CA ca.pem -CAkey ca.key"
    openssl(
        f"{key} {signed} -keyout good.key -out good.pem -addext subjectAltName=DNS:localhost -subj", "/CN=localhost"
    )
    openssl(
        f"{key} {signed} -keyout named.key -out named.pem -addext subjectAltName=DNS:api.test -subj", "/CN=api.test"
    )
    read = signed.replace("ca.", "other.")
    openssl(f"{key} {read} -keyout read.key -out read.pem -addext subjectAltName=DNS:localhost -subj", "/CN=localhost")
    openssl(f"{key} -x509 -days 2 -keyout self.key -out self.pem -subj", "/CN=localhost")
    openssl(f"{key} -keyout old.key -out old.csr -subj", "/CN=localhost")
    ours = "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -md sha256 -outdir ."
    openssl(f"{ours} {DATES} -in old.csr -out old.pem")
    return folder


@contextmanager
def server(papers: Path, name: str) -> Iterator[Faults]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(papers / f"{name}.pem", papers / f"{name}.key")
    with Faults(say(200, {"ok": 1}), tls=tls) as running:
        yield running
        assert not running.requests, "a request was sent"


def look(url: str, *, ca: Path | None = None, insecure: tuple[str, ...] = (), proxy: str = "") -> Seen:
    tls = TLS(ca_file=str(ca) if ca else "", insecure_hosts=insecure)
    return inspect(Connection(url, 1, tls=tls, proxy=proxy, headers={"X-Api-Key": "never-sent"}), SETTING)


def test_a_host_that_proves_itself(papers: Path) -> None:
    """State, protocol, and of the certificate its names, its times and the fingerprint that openssl computes."""
    with server(papers, "good") as running:
        seen = look(running.url, ca=papers / "ca.pem")
    assert (seen.ok, seen.state, seen.hint, seen.protocol) == (True, "verified", "", "TLSv1.3")
    assert (seen.host, seen.port) == ("localhost", running.port)
    leaf = seen.chain[0]
    assert (leaf.subject, leaf.issuer) == ("CN=localhost", "O=Тест, CN=Russian Trusted Root CA")
    assert leaf.not_before <= datetime.now(UTC) <= leaf.not_after
    said = subprocess.run(
        ["openssl", "x509", "-in", papers / "good.pem", "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert leaf.sha256 == said.stdout.strip().partition("=")[2]
    assert len(seen.chain) == (2 if sys.version_info >= (3, 13) else 1)


@pytest.mark.parametrize(
    ("name", "ca", "words"),
    [
        ("good", "", ["gosuslugi.ru/crt", "Russian Trusted Root CA", SETTING]),
        ("good", "other.pem", ["gosuslugi.ru/crt", "holds another one"]),
        ("read", "", ["CN=Proxy of the office", "root certificate", SETTING]),
        ("self", "", ["signed its certificate itself", "fingerprint", SETTING]),
        ("old", "ca.pem", ["renew", "2020-01-01 to 2020-02-01", "clock"]),
        ("named", "ca.pem", ["api.test", "write the address"]),
    ],
)
def test_the_cure_fits_what_is_wrong(papers: Path, name: str, ca: str, words: list[str]) -> None:
    """An unknown root, one's own file with another, a proxy that reads along, a wrong date, a wrong name."""
    with server(papers, name) as running:
        seen = look(running.url, ca=papers / ca if ca else None)
    assert (seen.ok, seen.state) == (False, "untrusted")
    for word in words:
        assert word in seen.hint
    assert seen.chain, "what the host shows is told, trusted or not"
    assert "verif" not in seen.hint


def test_a_host_that_is_not_checked_is_not_well(papers: Path) -> None:
    with server(papers, "self") as running:
        seen = look(running.url, insecure=("localhost",))
    assert (seen.ok, seen.state) == (False, "unchecked")
    assert "insecure_tls_host" in seen.hint
    assert seen.chain


def test_nobody_there_and_no_tls() -> None:
    """A port that refuses, one that answers in plain HTTP, a name that nobody has; plain http."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refuses connections" in look(f"https://localhost:{port}").message
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        pool.submit(answer)
        seen = look(f"https://localhost:{listener.getsockname()[1]}")
    assert (seen.state, "no TLS" in seen.message) == ("unreachable", True)
    assert "no host has the name" in look("https://nobody.invalid").message
    assert look("http://127.0.0.1:1/v1").ok
    assert not look("http://gateway.example/v1").ok


def test_a_proxy_is_gone_through() -> None:
    """With its password, and what it answers instead of leading there is told; the password is not."""

    def tunnel(connection: socket.socket, _request: object) -> bool:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return False

    with Faults(tunnel) as proxy:
        seen = look("https://api.giga.chat", proxy=f"http://user:proxy-word@127.0.0.1:{proxy.port}")
    assert proxy.requests[0].method == "CONNECT"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
    assert seen.state == "unreachable"
    assert "407" in seen.message
    assert seen.proxy == f"http://127.0.0.1:{proxy.port}"
    assert "proxy-word" not in str(seen)
    assert look("https://api.giga.chat", proxy="socks5://127.0.0.1:1").state == "unseen"


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    seen = look("https://localhost:1", ca=tmp_path / "none.pem")
    assert (seen.state, "none.pem" in seen.message) == ("untrusted", True)


def test_a_certificate_is_read_as_openssl_reads_it(papers: Path) -> None:
    """And any bytes that are none are a ValueError, whatever was changed."""
    der = ssl.PEM_cert_to_DER_cert((papers / "old.pem").read_text())
    found = certificate(der)
    assert found.not_after == datetime(2020, 2, 1, tzinfo=UTC)
    for at in range(len(der)):
        for changed in (der[:at], der[:at] + bytes([der[at] ^ 0xFF]) + der[at + 1 :]):
            try:
                certificate(changed)
            except ValueError:
                continue


def test_the_command_prints_it_and_fails_where_something_is_wrong(papers: Path, tmp_path: Path) -> None:
    """As text and as JSON, with exit code 6, no key on the way and none shown, both hosts of GigaChat."""
    with server(papers, "good") as running:
        environ = {
            **os.environ,
            "GIGACHAT_CREDENTIALS": "aWQ6bmV2ZXItc2VudC1hbnl3aGVyZQ==",
            "GIGACHAT_BASE_URL": running.url,
            "GIGACHAT_AUTH_URL": f"{running.url}/oauth",
            "GIGACHAT_VERIFY_SSL_CERTS": "false",  # who did this is to be told what to do instead
        }
        command = [sys.executable, "-m", "ragkit_cli", "doctor", "tls"]

        def run(*more: str, **variables: str) -> subprocess.CompletedProcess[str]:
            env = environ | variables
            return subprocess.run([*command, *more], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)

        failed = run()
        well = run(GIGACHAT_CA_BUNDLE_FILE=str(papers / "ca.pem"))
        listed = json.loads(run("--json", GIGACHAT_CA_BUNDLE_FILE=str(papers / "ca.pem")).stdout)["hosts"]
        quiet = run("-q", GIGACHAT_CA_BUNDLE_FILE=str(papers / "ca.pem"))
    assert failed.returncode == 6
    assert failed.stdout.count("gosuslugi.ru/crt") == 2
    assert "GIGACHAT_CA_BUNDLE_FILE" in failed.stdout
    assert well.returncode == 0, well.stdout + well.stderr
    assert well.stdout.count("verified") == 2
    assert set(listed[0]["chain"][0]) == {"subject", "issuer", "not_before", "not_after", "sha256"}  # docs/json.md
    assert (quiet.returncode, quiet.stdout) == (0, "")
    for shown in (failed, well):
        assert "aWQ6bmV2" not in shown.stdout + shown.stderr
    alone = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (alone.returncode, alone.stdout) == (0, "")
    assert "No service" in alone.stderr


def test_a_secret_of_the_connection_is_not_shown() -> None:
    """Also where the address itself cannot be reached for a reason of ours."""
    seen = look("https://nobody.invalid", proxy="http://user:proxy-word@nobody.invalid:1")
    assert "proxy-word" not in repr(seen)
    assert Secret("proxy-word")
