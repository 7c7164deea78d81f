"""A key goes to the address that it was given for, and nowhere else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ragkit.errors import ConfigError
from ragkit.sandbox import Sandbox
from ragkit.services import Services, connect, provider_of
from ragkit.settings import Settings, load_settings


def given(cwd: str | Path = "/", arguments: dict[str, object] | None = None, **environ: str) -> Settings:
    return load_settings(arguments, environ=environ, cwd=cwd)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, ("offline", "offline", "offline")),
        ({"GIGACHAT_CREDENTIALS": "k"}, ("gigachat", "gigachat", "gigachat")),
        ({"OPENAI_API_KEY": "k"}, ("openai", "openai", "openai")),
        ({"GIGACHAT_CREDENTIALS": "k", "OPENAI_API_KEY": "k"}, ("gigachat", "gigachat", "gigachat")),
        ({"GIGACHAT_CREDENTIALS": "k", "RAGKIT_BASE_URL": "https://h/v1"}, ("openai", "openai", "openai")),
        ({"GIGACHAT_CREDENTIALS": "k", "RAGKIT_PROVIDER": "offline"}, ("offline", "offline", "offline")),
        ({"GIGACHAT_CREDENTIALS": "k", "RAGKIT_EMBED_PROVIDER": "offline"}, ("gigachat", "offline", "gigachat")),
        ({"RAGKIT_PROVIDER": "gigachat", "RAGKIT_EMBED_BASE_URL": "http://h/v1"}, ("gigachat", "openai", "gigachat")),
        ({"RAGKIT_PROVIDER": "ollama", "RAGKIT_IMAGE_PROVIDER": "openai"}, ("ollama", "ollama", "openai")),
    ],
)
def test_who_fills_which_role(environ: dict[str, str], found: tuple[str, ...]) -> None:
    """Named first, then by an address of ragkit's own, then by a key that is set for other programs too."""
    settings = given(**environ)
    assert tuple(provider_of(settings, role) for role in ("chat", "embed", "image")) == found


KEYS = {"OPENAI_API_KEY": "key-openai", "RAGKIT_API_KEY": "key-general", "RAGKIT_EMBED_API_KEY": "key-embed"}


@pytest.mark.parametrize(
    ("names", "more", "role", "key"),
    [
        (["OPENAI_API_KEY"], {"OPENAI_BASE_URL": "{url}"}, "chat", "key-openai"),
        (["OPENAI_API_KEY"], {"RAGKIT_BASE_URL": "{url}"}, "chat", ""),
        (["OPENAI_API_KEY"], {"RAGKIT_EMBED_BASE_URL": "{url}"}, "embed", ""),
        (["RAGKIT_API_KEY"], {"RAGKIT_BASE_URL": "{url}"}, "chat", "key-general"),
        (["RAGKIT_API_KEY"], {"RAGKIT_BASE_URL": "https://h/v1", "RAGKIT_EMBED_BASE_URL": "{url}"}, "embed", ""),
        (["RAGKIT_EMBED_API_KEY", "RAGKIT_API_KEY"], {"RAGKIT_EMBED_BASE_URL": "{url}"}, "embed", "key-embed"),
        (
            ["RAGKIT_API_KEY"],
            {"RAGKIT_PROVIDER": "openrouter", "RAGKIT_EMBED_PROVIDER": "vllm", "RAGKIT_EMBED_BASE_URL": "{url}"},
            "embed",
            "",
        ),
    ],
)
def test_each_key_with_its_own_address(
    sandbox: Sandbox, names: list[str], more: dict[str, str], role: str, key: str
) -> None:
    """A key is never completed with the address of another pair; without one, none is sent."""
    environ = {name: KEYS[name] for name in names} | {n: v.format(url=sandbox.openai_url) for n, v in more.items()}
    service = connect(given(**environ), role)
    with pytest.raises(Exception, match="401") if not key else threading.Lock():  # the sandbox wants some key
        service.models()
    sent = [request.headers.get("authorization", "") for request in sandbox.stats.requests]
    assert [bool(each) for each in sent] == [bool(key)] * len(sent)


def test_a_preset_gets_no_key_of_another(sandbox: Sandbox) -> None:
    """With two services, api_key is that of the one that chats; the other has its own or none."""
    settings = given(RAGKIT_CHAT_PROVIDER="openrouter", RAGKIT_EMBED_PROVIDER="yandex", RAGKIT_API_KEY="key-general")
    with pytest.raises(ConfigError, match="needs a key"):
        connect(settings, "embed").models()
    headers = {"RAGKIT_HEADERS": "X-Api-Key: secret-header", "RAGKIT_EMBED_BASE_URL": sandbox.openai_url}
    connect(given(RAGKIT_EMBED_API_KEY="k", RAGKIT_BASE_URL="https://h/v1", **headers), "embed").models()
    assert "x-api-key" not in sandbox.stats.requests[-1].headers


@pytest.mark.parametrize(
    ("line", "environ", "role"),
    [
        ('gigachat_auth_url = "https://elsewhere/oauth"', {"GIGACHAT_CREDENTIALS": "k"}, "chat"),
        ('gigachat_base_url = "https://elsewhere/v1"', {"GIGACHAT_ACCESS_TOKEN": "k"}, "chat"),
        ('proxy = "http://elsewhere:1"', {"GIGACHAT_CREDENTIALS": "k"}, "chat"),
        ('gigachat_ca_file = "ca.pem"', {"GIGACHAT_CREDENTIALS": "k"}, "chat"),
        ('base_url = "https://elsewhere/v1"', {"RAGKIT_API_KEY": "k"}, "chat"),
        ('openai_base_url = "https://elsewhere/v1"', {"OPENAI_API_KEY": "k"}, "chat"),
        ('embed_base_url = "https://elsewhere/v1"', {"RAGKIT_EMBED_API_KEY": "k"}, "embed"),
    ],
)
def test_a_file_from_a_stranger_does_not_lead_a_key_astray(
    tmp_path: Path, line: str, environ: dict[str, str], role: str
) -> None:
    """ragkit.toml may not say how a key of the environment travels; said by the user, or with its own key, it may."""
    file = tmp_path / "ragkit.toml"
    file.write_text(line, "utf-8")
    file.chmod(0o600)
    settings = given(tmp_path, **environ)
    with pytest.raises(ConfigError, match="not sent there") as caught:
        connect(settings, role)
    name = line.partition(" ")[0]
    assert f"RAGKIT_{name.upper()}" in caught.value.hint
    [(variable, _)] = environ.items()
    secret = {"GIGACHAT_CREDENTIALS": "gigachat_credentials", "GIGACHAT_ACCESS_TOKEN": "gigachat_access_token"}
    own = secret.get(variable, variable.removeprefix("RAGKIT_").lower())
    file.write_text(f'{line}\n{own} = "k"', "utf-8")
    connect(given(tmp_path), role)


def test_one_client_for_one_account(sandbox: Sandbox) -> None:
    """Roles that one service fills share its slots and its token, however many threads ask at once."""
    services = Services(
        given(
            GIGACHAT_CREDENTIALS=sandbox.credentials,
            GIGACHAT_BASE_URL=sandbox.gigachat_url,
            GIGACHAT_AUTH_URL=sandbox.auth_url,
        )
    )
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(services.get("chat"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 1
    assert services.get("embed") is found[0]
    services.get("chat").models()
    services.get("embed").embedder().embed_query("один")
    assert sandbox.stats.oauth == 1
    services.close()


def test_variables_of_gigachat_do_not_govern_others(sandbox: Sandbox) -> None:
    """GIGACHAT_MAX_RETRIES is about GigaChat; RAGKIT_RETRIES about whoever is used."""
    sandbox.inject("500", times=1, path="/models")
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": sandbox.openai_url, "RAGKIT_PROVIDER": "openai"}
    assert connect(given(GIGACHAT_MAX_RETRIES="0", **environ)).models()
    sandbox.inject("500", times=1, path="/models")
    with pytest.raises(Exception, match="500"):
        connect(given(RAGKIT_RETRIES="0", **environ)).models()


def test_a_role_that_a_service_cannot_fill_is_refused_also_when_it_fills_others(sandbox: Sandbox) -> None:
    """GigaChat orders no hits, whether or not it embeds and chats already."""
    services = Services(given(GIGACHAT_CREDENTIALS=sandbox.credentials))
    services.get("chat")
    with pytest.raises(ConfigError, match="orders hits"):
        services.get("rerank")
