"""A service is opened once, by whoever comes first, and closed with everything that was opened for it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from faults import Faults, hang, say

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.connection import Connection, Door
from ragkit.providers.gigachat import GigaChat
from ragkit.providers.http import Http
from ragkit.secret import Secret

CREDENTIALS = "aWQ6c2VjcmV0"
TOKEN = {"access_token": "token-0123456789", "expires_at": 9_999_999_999_999}


def unused() -> Http:
    from ragkit.providers.authorization import ApiKey

    return Connection("http://127.0.0.1:1/v1", 1).open(ApiKey(Secret("")))


def test_threads_that_come_at_once_find_one_door() -> None:
    """However slow opening is: eight threads that ask for the first request get the same door."""
    made: list[Http] = []

    def make(_: ExitStack) -> Http:
        time.sleep(0.05)
        made.append(unused())
        return made[-1]

    door = Door()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: door.opened(make), range(8)))
    assert len(made) == 1
    assert all(each is made[0] for each in found)


def test_a_closed_door_is_opened_again() -> None:
    """What was opened for it besides is closed with it, and only then."""
    closed: list[str] = []

    def make(stack: ExitStack) -> Http:
        stack.callback(closed.append, "the token service")
        return unused()

    door = Door()
    first = door.opened(make)
    assert not closed
    door.close()
    door.close()
    assert closed == ["the token service"]
    assert door.opened(make) is not first


def test_a_door_that_cannot_be_opened_leaves_nothing_open() -> None:
    closed: list[str] = []

    def make(stack: ExitStack) -> Http:
        stack.callback(closed.append, "the token service")
        raise ConfigError("no key")

    door = Door()
    with pytest.raises(ConfigError):
        door.opened(make)
    assert closed == ["the token service"]


def test_one_slot_is_one_slot_from_the_first_request_on() -> None:
    """The first requests of a program come from several threads: they share slots and the token."""
    fine = say(200, {"data": [], "object": "list"}, wait=0.02)
    with Faults(fine) as server:
        server.route("/v1/oauth", say(200, TOKEN, wait=0.02))
        giga = GigaChat(CREDENTIALS, base_url=server.url, auth_url=f"{server.url}/oauth")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: giga.models(), range(8)))
        giga.close()
    assert len(server.asked("/v1/oauth")) == 1
    assert len(server.asked("/v1/models")) == 8
    assert server.most == 1


def test_closing_reaches_the_token_service() -> None:
    """A thread that waits for a token is woken by close, as one that waits for an answer is."""
    with Faults(hang) as server:
        giga = GigaChat(CREDENTIALS, base_url=server.url, auth_url=f"{server.url}/oauth")
        failed: list[Exception] = []

        def ask() -> None:
            try:
                giga.models()
            except ConnectionFailed as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        giga.close()
        thread.join(5)
        assert not thread.is_alive()
    assert len(failed) == 1
