"""Where a service is and by which way it is reached: this machine directly, the rest by the proxy that is set."""

from __future__ import annotations

import pytest
from faults import Faults, say

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.address import address, proxy_for
from ragkit.providers.authorization import ApiKey
from ragkit.providers.http import Http, Reply
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.secret import Secret


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("url", "netloc", "target"),
    [
        ("https://api.giga.chat/v1", "api.giga.chat", b"/v1/models"),
        ("https://api.giga.chat/v1/", "api.giga.chat", b"/v1/models"),
        ("HTTPS://API.Giga.chat:443", "api.giga.chat", b"/models"),
        ("http://[::1]:8000/api/v1", "[::1]:8000", b"/api/v1/models"),
        ("https://пример.рф/v1", "xn--e1afmkfd.xn--p1ai", b"/v1/models"),
    ],
)
def test_an_address_is_taken_apart(url: str, netloc: str, target: bytes) -> None:
    found = address(url)
    assert (found.netloc, found.target("/models")) == (netloc, target)


@pytest.mark.parametrize(
    ("url", "stays"),
    [
        ("http://localhost:1", True),
        ("http://a.localhost", True),
        ("http://127.1.2.3", True),
        ("http://[::1]", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://0.0.0.0", False),
    ],
)
def test_what_stays_on_this_machine(url: str, stays: bool) -> None:
    assert address(url).loopback == stays


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the scheme of the address, with exceptions; an explicit one wins; this machine is always reached directly."""
    where = address("https://api.giga.chat/v1")
    assert proxy_for(where) is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://other.example")
    found = proxy_for(where)
    assert found is not None
    assert (found.scheme, found.host, found.port) == ("http", "proxy.example", 3128)
    plain = proxy_for(address("http://api.example"))
    assert plain is not None
    assert plain.host == "other.example"
    assert proxy_for(address("http://localhost:8080")) is None
    chosen = proxy_for(address("http://localhost:8080"), "http://mine:1")
    assert chosen is not None
    assert chosen.host == "mine"
    monkeypatch.setenv("NO_PROXY", "giga.chat")
    assert proxy_for(where) is None


def test_the_password_of_a_proxy_is_kept_to_itself() -> None:
    found = proxy_for(address("https://api.example"), "http://user:p%40ss@proxy.example:3128")
    assert found is not None
    assert (found.user, found.password.reveal()) == ("user", "p@ss")
    assert "p@ss" not in repr(found)
    with pytest.raises(ConfigError) as caught:
        proxy_for(address("https://api.example"), "gopher://user:hunter2@proxy.example")
    assert "hunter2" not in caught.value.message


def http(url: str, proxy: str = "") -> Http:
    return Http(url, ApiKey(Secret("")), slots=Slots(1), proxy=proxy, retry=Retry(tries=1))


def test_a_plain_request_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets the whole address, and its own password."""
    with Faults(say(200, {"ok": 1})) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@127.0.0.1:{server.port}")
        assert http("http://api.example/v1").request("GET", "/models", parse=Reply.json) == {"ok": 1}
    (request,) = server.requests
    assert request.path == "http://api.example/v1/models"
    assert request.headers["host"] == "api.example"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_a_proxy_that_says_no_is_named() -> None:
    """A tunnel that is refused is the proxy's fault, and its password is not shown."""
    with Faults(say(407)) as server:
        door = http("https://api.example/v1", f"http://user:hunter2@127.0.0.1:{server.port}")
        with pytest.raises(ConnectionFailed, match="407") as caught:
            door.request("GET", "/models", parse=Reply.json)
    assert server.requests[0].path == "api.example:443"
    assert "HTTPS_PROXY" in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_proxy_that_is_down_is_named() -> None:
    with Faults() as server:
        proxy = f"http://127.0.0.1:{server.port}"
    with pytest.raises(ConnectionFailed, match=f"proxy 127.0.0.1:{server.port} refuses"):
        http("https://api.example/v1", proxy).request("GET", "/models", parse=Reply.json)


def test_a_socks_proxy_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="socksio"):
        http("https://api.example/v1", "socks5://127.0.0.1:1").request("GET", "/models", parse=Reply.json)
