"""An address that a service sent is followed to public places and to the service itself, and nowhere else."""

from __future__ import annotations

from contextlib import closing

import pytest
from faults import Faults, say

from ragkit.errors import BadResponse, ConnectionFailed
from ragkit.providers.address import address
from ragkit.providers.authorization import ApiKey
from ragkit.providers.foreign import followed
from ragkit.providers.http import Http, Reply
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.secret import Secret

CLOUD = address("https://api.example/v1")
LOCAL = address("http://127.0.0.1:8000/v1")
PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.5"


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("https://cdn.example/a/b.png?sig=x%2Fy&n=1", "https://cdn.example", "/a/b.png?sig=x%2Fy&n=1"),
        ("https://CDN.example:8443", "https://cdn.example:8443", "/"),
        ("https://картинки.рф/а.png", "https://xn--80aqaahhh1a.xn--p1ai", "/а.png"),
        ("https://93.184.216.34/x", "https://93.184.216.34", "/x"),
        ("https://[2606:2800:220:1::1]/x", "https://[2606:2800:220:1::1]", "/x"),
        ("https://api.example/files/1", "https://api.example", "/files/1"),
    ],
)
def test_a_public_place_is_followed(url: str, base: str, path: str) -> None:
    """By https, to any host with public addresses, with its query."""
    found, rest, _ = followed(url, CLOUD, resolve=lambda _: [PUBLIC, "2606:2800:220:1::1"])
    assert found.split("://")[0] == base.split("://")[0]
    assert rest == path
    if url.isascii():
        assert found == base


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/pictures/1.png?x=1", "https://127.0.0.1:9000/1.png"])
def test_a_server_on_this_machine_may_point_at_itself(url: str) -> None:
    base, path, _ = followed(url, LOCAL)
    assert base + path == url


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://cdn.example/x",
        "http://cdn.example/x",
        "http://api.example/x",
        "//cdn.example/x",
        "cdn.example/x",
        "https:///x",
        "https://cdn.example:port/x",
        "https://user:word@cdn.example/x",
        "https://cdn.example/a b",
        "https://cdn.example/\x1b]0;x",
        "http://[::1/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[fe80::1]/x",
        "https://10.1.2.3:8000/x",
        "https://100.64.0.1/x",
        "https://[64:ff9b::a9fe:a9fe]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
    ],
)
def test_any_other_place_is_refused(url: str) -> None:
    """Other schemes, plain http elsewhere, and addresses that are not public, in whatever clothes."""
    with pytest.raises(BadResponse, match="is not fetched"):
        followed(url, CLOUD, resolve=lambda _: [PUBLIC])


@pytest.mark.parametrize("url", ["https://localhost/x", "https://127.1/x", "https://2130706433/x"])
def test_a_name_is_judged_by_what_is_behind_it(url: str) -> None:
    """A name of this machine, and a number that the system takes for its address."""
    with pytest.raises(BadResponse, match="not public"):
        followed(url, CLOUD)
    with pytest.raises(BadResponse, match="not public"):
        followed("https://cdn.example/x", CLOUD, resolve=lambda _: [PUBLIC, PRIVATE])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001/x", "http://localhost:8000/x", "http://10.0.0.5/x"])
def test_a_server_on_this_machine_may_not_point_at_its_neighbours(url: str) -> None:
    with pytest.raises(BadResponse):
        followed(url, LOCAL)


def test_a_refusal_shows_no_query() -> None:
    """A signature in it is as good as a key; of a user and a password nothing is shown either."""
    with pytest.raises(BadResponse) as caught:
        followed("http://user:hunter2@cdn.example/x.png?sig=secret#part", CLOUD)
    assert "cdn.example/x.png" in caught.value.message
    assert "secret" not in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_name_that_only_a_proxy_knows_is_let_through() -> None:
    """To the proxy: who connects without one is given no address to connect to."""
    assert followed("https://cdn.example/x", CLOUD, resolve=lambda _: []) == ("https://cdn.example", "/x", ())


class Rebinding:
    """A name that leads to a public place when it is judged, and into this machine from then on."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _: str) -> list[str]:
        self.asked += 1
        return [PUBLIC] if self.asked == 1 else ["127.0.0.1"]


def test_a_name_is_looked_up_once() -> None:
    """The addresses that were judged are those that are given on; the name is not asked again."""
    resolve = Rebinding()
    assert followed("https://cdn.example/x", CLOUD, resolve=resolve).addresses == (PUBLIC,)
    assert resolve.asked == 1
    assert followed("https://api.example/x", CLOUD, resolve=resolve).addresses is None  # the service's own host
    assert resolve.asked == 1


def reach(where: str, pinned: tuple[str, ...] | None, proxy: str = "") -> object:
    http = Http(where, ApiKey(Secret("")), slots=Slots(1), retry=Retry(tries=1), pinned=pinned, proxy=proxy)
    with closing(http):
        return http.request("GET", "/x", parse=Reply.json)


def test_only_the_judged_address_is_connected_to() -> None:
    """A name that the system has for another machine, or for none, goes where it was judged to go, by its name."""
    with Faults(say(200, {"ok": 1})) as server:
        port = server.url.rpartition(":")[2].partition("/")[0]
        assert reach(f"http://cdn.invalid:{port}", ("127.0.0.1",)) == {"ok": 1}
        assert server.requests[0].headers["host"] == f"cdn.invalid:{port}"
        for elsewhere in ((), ("127.0.0.2",)):  # the system's answer for localhost is not asked for
            with pytest.raises(ConnectionFailed):
                reach(f"http://localhost:{port}", elsewhere)
    assert len(server.requests) == 1


def test_the_next_address_is_tried() -> None:
    """Of several, as the system does it; and a proxy looks names up itself."""
    with Faults(say(200, {"ok": 1})) as server:
        port = server.url.rpartition(":")[2].partition("/")[0]
        assert reach(f"http://cdn.invalid:{port}", ("127.0.0.2", "127.0.0.1")) == {"ok": 1}
        assert reach("http://cdn.invalid", (), f"http://127.0.0.1:{port}") == {"ok": 1}
