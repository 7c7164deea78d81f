"""Which service fills a role, and with which address and key: a key goes nowhere but to the address it was given for.

A role is "embed", "chat", "image" or "rerank". It knows the settings and the services' constructors, and opens nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragkit.errors import ConfigError
from ragkit.secret import Secret
from ragkit.settings import FILE, FOUND, NO_CHAT_MODEL, Settings

if TYPE_CHECKING:
    from ragkit.budget import Prices
    from ragkit.providers.openai import OpenAICompatible

OFFLINE = "offline"
GIGACHAT = "gigachat"
OPENAI = "openai"
ROLES = ("chat", "embed", "image")

_FOREIGN = ("timeout", "retries", "slots")  # settings that GigaChat's own SDK has variables for
# How a key travels: where to, by which way, and who is trusted on it.
_GIGACHAT_WAY = ("gigachat_base_url", "gigachat_auth_url", "gigachat_ca_file", "proxy")
_NAMES = ("provider", *(f"{role}_provider" for role in (*ROLES, "rerank")))  # who gets a key that has no address


def provider_of(settings: Settings, role: str) -> str:
    """The service that fills a role: named, or found by its address or key, or "offline".

    Raises ConfigError for a name that is none.
    """
    own = f"{role}_provider"
    if getattr(settings, own):
        return _known(getattr(settings, own), settings.origin(own))
    if getattr(settings, f"{role}_base_url", ""):
        return OPENAI
    if settings.provider:
        return _known(settings.provider, settings.origin("provider"))
    if settings.base_url:
        return OPENAI
    if settings.gigachat_credentials or settings.gigachat_access_token or settings.gigachat_user:
        return GIGACHAT
    return OPENAI if settings.openai_base_url or settings.openai_api_key else OFFLINE


def _known(name: str, origin: str) -> str:
    if name in (OFFLINE, GIGACHAT):
        return name
    from ragkit.providers.presets import PRESETS  # offline needs none

    if name not in PRESETS:
        raise ConfigError(
            f"the provider is {name!r} ({origin}), and none is called so",
            f"choose one of: {OFFLINE}, {GIGACHAT}, {', '.join(PRESETS)}; another service is openai with base_url",
        )
    return name


def connect(settings: Settings, role: str = "chat") -> OpenAICompatible:
    """The service that fills a role. Raises ConfigError where there is none, or a key would go astray."""
    name = _filled_by(settings, role)
    return _gigachat(settings) if name == GIGACHAT else _openai(settings, role, name)


def _filled_by(settings: Settings, role: str) -> str:
    """The service that fills a role. Raises ConfigError where none does."""
    name = provider_of(settings, role)
    if name == OFFLINE:
        raise ConfigError("no service is configured for this", NO_CHAT_MODEL)
    if role == "rerank" and name == GIGACHAT:
        raise ConfigError(
            "GigaChat has no service that orders hits", "name one with rerank_base_url, or set rerank to chat"
        )
    return name


class Services:
    """The services of one RAG: one for each address and key, so that slots and token are shared. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        from threading import Lock  # a RAG without services pays for none of this

        self._settings = settings
        self._lock = Lock()
        self._open: dict[object, OpenAICompatible] = {}

    def get(self, role: str) -> OpenAICompatible:
        """The service that fills a role. Raises as `connect`."""
        name = _filled_by(self._settings, role)
        key = name if name == GIGACHAT else _place(self._settings, role, name)
        with self._lock:
            if key not in self._open:
                self._open[key] = connect(self._settings, role)
            return self._open[key]

    def close(self) -> None:
        """Let go of their connections. They open again when they are used."""
        with self._lock:
            opened = list(self._open.values())
        for service in opened:
            service.close()


def _gigachat(settings: Settings) -> OpenAICompatible:
    from ragkit.providers.gigachat import GigaChat

    _check_index(settings, ("gigachat_base_url", "gigachat_auth_url", "proxy"))
    for secret in ("gigachat_credentials", "gigachat_access_token", "gigachat_password"):
        _check_way(settings, secret, _GIGACHAT_WAY)
    return GigaChat(
        settings.gigachat_credentials,
        scope=settings.gigachat_scope,
        access_token=settings.gigachat_access_token,
        user=settings.gigachat_user,
        password=settings.gigachat_password,
        base_url=settings.gigachat_base_url,
        auth_url=settings.gigachat_auth_url,
        chat_model=_chat_model(settings, GIGACHAT) or settings.gigachat_model,
        image_model=settings.image_model if provider_of(settings, "image") == GIGACHAT else "",
        client_id=settings.gigachat_client,
        slots=settings.slots,
        retries=settings.retries,
        timeout=settings.timeout,
        ca_file=settings.gigachat_ca_file,
        cert_file=settings.gigachat_cert_file,
        key_file=settings.gigachat_key_file,
        key_password=settings.gigachat_key_password,
        insecure_hosts=_insecure(settings, "gigachat_verify"),
        **_common(settings),
    )


class _Place(NamedTuple):
    """Address and key of one OpenAI-compatible service, with the settings that they come from."""

    name: str
    url: str
    key: Secret
    url_from: str
    key_from: str
    general: bool  # base_url, headers and auth_scheme are this service's


def _place(settings: Settings, role: str, name: str) -> _Place:
    """Address and key come as a pair; where one half is missing, the other is not completed from another pair."""
    url, key = f"{role}_base_url", f"{role}_api_key"
    if getattr(settings, url, "") or getattr(settings, key, ""):
        return _Place(name, getattr(settings, url), getattr(settings, key), url, key, general=False)
    general = name == _owner(settings)
    if general and (settings.base_url or settings.api_key):
        return _Place(name, settings.base_url, settings.api_key, "base_url", "api_key", general)
    if name == OPENAI:
        found = settings.openai_base_url, settings.openai_api_key
        return _Place(name, *found, "openai_base_url", "openai_api_key", general)
    return _Place(name, "", Secret(""), "base_url", "api_key", general)


def _owner(settings: Settings) -> str:
    """The service that `base_url`, `api_key`, `headers` and `auth_scheme` mean, where roles have several."""
    names = [provider_of(settings, role) for role in ROLES if not getattr(settings, f"{role}_base_url", "")]
    return next((name for name in names if name not in (OFFLINE, GIGACHAT)), OPENAI)


def _openai(settings: Settings, role: str, name: str) -> OpenAICompatible:
    from ragkit.providers.openai import OpenAICompatible

    place = _place(settings, role, name)
    _check_index(settings, (place.url_from, "proxy"))
    way = (place.url_from, "proxy", "ca_file", *(() if place.url else _NAMES))
    if place.key:
        ours = place.key_from == "openai_api_key"  # goes nowhere but to OpenAI, whoever chose that
        _check_way(settings, place.key_from, (*(each for each in way if not ours or each not in _NAMES), "headers"))
    if place.general and settings.headers:
        _check_way(settings, "headers", way)
    lines = settings.headers.reveal().splitlines() if place.general else []
    scheme = settings.auth_scheme if place.general else ""
    return OpenAICompatible(
        place.url,
        place.key,
        preset=name,
        chat_model=_chat_model(settings, name),
        image_model=settings.image_model,
        scheme={"": None, "-": ""}.get(scheme, scheme),
        headers={line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines},
        ca_file=settings.ca_file,
        insecure_hosts=_insecure(settings, "verify"),
        **_common(settings),
        **{each: getattr(settings, each) for each in _FOREIGN if "GIGACHAT_" not in settings.origin(each)},
    )


def _check_way(settings: Settings, secret: str, way: tuple[str, ...]) -> None:
    """A ragkit.toml may come with a stranger's folder: it does not say where a key of the environment goes.

    Raises ConfigError with both origins.
    """
    if not getattr(settings, secret):
        return
    origin = settings.origin(secret)
    for name in way:
        where = settings.origin(name)
        if name != secret and Path(where).name == FILE and where != origin:
            raise ConfigError(
                f"{name} is set by {where}, and {secret} by the {origin}: it is not sent there",
                f"if that is right, set RAGKIT_{name.upper()} in the environment too, or put {secret} into that file",
            )


def _check_index(settings: Settings, way: tuple[str, ...]) -> None:
    """Texts of an index elsewhere do not go where a ragkit.toml says, unless the user named that index.

    Raises ConfigError: their folder may lie inside of one's own, whose index is then the nearest, or hold a link to it.
    """
    origin = settings.origin("index")
    if Path(origin).name != FILE and origin not in FOUND:
        return
    for name in way:
        file = settings.origin(name)
        if Path(file).name == FILE and not settings.index.resolve().is_relative_to(Path(file).parent.resolve()):
            raise ConfigError(
                f"{name} is set by {file}, and the index is outside of its folder: {settings.index} ({origin}); its"
                " texts are not sent there",
                f"if that is right, set RAGKIT_INDEX or RAGKIT_{name.upper()} in the environment too",
            )


def _insecure(settings: Settings, switch: str) -> tuple[str, ...]:
    """Hosts whose certificates are not checked. Raises ConfigError where checks are off and no host is named."""
    hosts = tuple(filter(None, settings.insecure_tls_host.split(",")))
    if not getattr(settings, switch) and not hosts:
        cure = "gigachat_ca_file (GIGACHAT_CA_BUNDLE_FILE)" if switch == "gigachat_verify" else "ca_file"
        raise ConfigError(
            f"{switch} is false ({settings.origin(switch)}), and no host is named for which it should hold",
            f"take it back and name the file of the missing root certificate as {cure}: `ragkit doctor tls` tells"
            " which; or name the one host that is to be trusted blindly, RAGKIT_INSECURE_TLS_HOST=HOST",
        )
    return hosts


def _chat_model(settings: Settings, name: str) -> str:
    """The chat model, where it is this service's: with two services the name would mean nothing to the other."""
    return settings.chat_model if provider_of(settings, "chat") == name else ""


def prices_of(settings: Settings) -> Prices:
    """What tokens cost."""
    from ragkit.budget import Prices  # a search needs none

    return Prices(settings.embed_price, settings.prompt_price, settings.completion_price)


def _common(settings: Settings) -> dict[str, Any]:
    """What every service is given: how to generate, what it costs, how long it may take."""
    from ragkit.messages import ChatOptions

    options = ChatOptions(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_answer_tokens or None,
        repetition_penalty=settings.repetition_penalty,
        update_interval=settings.update_interval,
        profanity_check=settings.profanity_check,
        session_id=settings.session,
    )
    return {
        "options": options,
        "prices": prices_of(settings),
        "deadline": settings.deadline,
        "proxy": settings.proxy.reveal(),
    }
