"""Settings, each with the place it came from: arguments > environment > ragkit.toml > defaults.

A setting is one field of `Settings`: its default, its range, the names that it has in the environment of other
programs and its sentence of explanation stand in one place, and every layer is checked against them. It knows
nothing of what the settings are used for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError
from ragkit.secret import Secret
from ragkit.settings.values import FAR, checked, folder, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "RAGKIT_"
FILE = "ragkit.toml"
FOLDER = ".ragkit"
NEAREST = f"nearest {FOLDER} upwards"
FOUND = (NEAREST, "default")  # origins of an index that nobody named
MODES = ("hybrid", "dense", "lexical")
ROUTES = ("auto", "retrieval", "attachment")
RERANKERS = ("off", "api", "chat")
RERANK_STYLES = ("cohere", "voyage", "tei")
NO_SECRET = Secret("")
NO_CHAT_MODEL = "set GIGACHAT_CREDENTIALS, or OPENAI_API_KEY and chat_model; README.md says how"


def _whole(default: int, about: str, low: int, high: int = FAR, *, size: bool = False, env: str = "") -> Any:
    kind = "size" if size else "whole"
    return field(default=default, metadata={"kind": kind, "about": about, "low": low, "high": high, "env": env})


def _decimal(about: str, low: float, high: float = FAR, *, default: float | None = None, env: str = "") -> Any:
    return field(default=default, metadata={"kind": "decimal", "about": about, "low": low, "high": high, "env": env})


def _text(about: str, default: str = "", *, env: str = "", kind: str = "text") -> Any:
    return field(default=default, metadata={"kind": kind, "about": about, "env": env})


def _secret(about: str, *, env: str = "", kind: str = "secret") -> Any:
    return field(default=NO_SECRET, metadata={"kind": kind, "about": about, "env": env})


def _flag(default: bool | None, about: str, *, env: str = "") -> Any:
    return field(default=default, metadata={"kind": "flag", "about": about, "env": env})


def _choice(default: str, about: str, choices: tuple[str, ...]) -> Any:
    return field(default=default, metadata={"kind": "choice", "about": about, "choices": choices})


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)  # made at every start, of 80 fields: 2 ms
class Settings:
    """Every setting. `origins` names for each the layer that decided it. None leaves a choice to the service."""

    index: Path = field(default=Path(FOLDER), metadata={"kind": "folder", "about": "folder of the index"})
    chunk_size: int = _whole(800, "characters of a chunk, at most", 50, 100_000)
    chunk_overlap: int = _whole(200, "characters that a chunk repeats of the one before it, at most", 0, 50_000)
    limit: int = _whole(10, "hits that a search shows", 1, 10_000)
    mode: str = _choice("hybrid", "how to search", MODES)
    passages: int = _whole(6, "chunks that an answer is made from", 1, 1_000)
    route: str = _choice(
        "auto",
        "what answers: passages, or whole documents; unset it is retrieval for the index, auto for a file",
        ROUTES,
    )
    workers: int = _whole(0, "processes that read files; 0 is one for each CPU", 0, 256)
    max_file_size: int = _whole(512 << 20, "bytes of the largest file that is read; KiB, MiB, GiB work", 1, size=True)

    provider: str = _text("service for everything: offline, gigachat, openai or a preset; empty finds one by its key")
    embed_provider: str = _text("service for embeddings, where it is another")
    chat_provider: str = _text("service for answers, where it is another")
    image_provider: str = _text("service for pictures, where it is another")
    embed_model: str = _text("model that makes vectors of documents")
    embed_revision: str = _text("word of your own for the version of that model; another word is another model")
    query_model: str = _text("model that makes vectors of queries, where it is another")
    chat_model: str = _text("model that writes answers")
    image_model: str = _text("model that draws")
    document_prefix: str = _text("text put before every chunk that is embedded")
    query_prefix: str = _text("text put before every query that is embedded")
    dimensions: int = _whole(0, "length of vectors to ask for; 0 leaves it to the model", 0, 65_536)
    slots: int = _whole(
        0, "requests on their way at once; 0 is what the service allows", 0, 256, env="GIGACHAT_MAX_CONNECTIONS"
    )
    batch_items: int = _whole(0, "texts in one request for embeddings; 0 is what the service takes", 0, 10_000)
    timeout: float = _decimal(
        "seconds to wait for an answer to begin", 0.1, 86_400, default=60.0, env="GIGACHAT_TIMEOUT"
    )
    retries: int = _whole(5, "times that a failed request is sent again", 0, 20, env="GIGACHAT_MAX_RETRIES")
    deadline: float = _decimal("seconds that a request may take with all its repeats", 0.1, 86_400, default=120.0)
    proxy: Secret = _secret("proxy; empty takes HTTPS_PROXY, and none for this machine", kind="proxy")

    temperature: float | None = _decimal("how free answers are", 0, 100)
    top_p: float | None = _decimal("share of likely words that answers are chosen from", 0, 1)
    repetition_penalty: float | None = _decimal("above 1 answers repeat themselves less", 0, 100)
    max_answer_tokens: int = _whole(0, "tokens of an answer, at most; 0 leaves it to the model", 0)
    update_interval: float | None = _decimal("seconds between the pieces of a streamed answer", 0, 3_600)
    profanity_check: bool | None = _flag(None, "let GigaChat look for profanity", env="GIGACHAT_PROFANITY_CHECK")
    session: str = _text("name under which GigaChat caches the context of a conversation")
    rerank: str = _choice("off", "who orders hits again: a service or the chat model", RERANKERS)
    rerank_provider: str = _text("service that orders hits, where it is another")
    rerank_model: str = _text("model that orders hits")
    rerank_base_url: str = _text("address that orders hits, where it is another", kind="url")
    rerank_api_key: Secret = _secret("key for that address")
    rerank_style: str = _choice("cohere", "how it is asked", RERANK_STYLES)
    rerank_price: float = _decimal("money for a million tokens that it reads", 0, default=0.0)
    candidates: int = _whole(50, "hits that are ordered again", 1, 1_000)
    mmr: float = _decimal("relevance against variety; 1 is relevance alone", 0, 1, default=1.0)
    context_tokens: int = _whole(16_000, "tokens that the prompt of an answer may hold", 500)
    parents: bool = _flag(False, "give a model whole sections instead of passages, where they fit")
    prompt_template: str = _text("file with the words of the prompt, with {sources} and {question}", kind="file")
    refuse_early: bool = _flag(False, "refuse before a chat model is paid, where no passage is about the question")
    rounds: int = _whole(5, "searches that a model may ask for before it must answer", 1, 100)
    recall: float = _decimal(
        "share of the ten nearest that searching a large index must find; 1 looks at every vector", 0.5, 1, default=0.99
    )

    embed_price: float = _decimal("money for a million tokens that are embedded", 0, default=0.0)
    prompt_price: float = _decimal("money for a million tokens of a prompt", 0, default=0.0)
    completion_price: float = _decimal("money for a million tokens of an answer", 0, default=0.0)
    currency: str = _text("what the prices are in")

    gigachat_credentials: Secret = _secret("authorization key of GigaChat", env="GIGACHAT_CREDENTIALS")
    gigachat_scope: str = _text("version of the API that the key is for", "GIGACHAT_API_PERS", env="GIGACHAT_SCOPE")
    gigachat_access_token: Secret = _secret("ready token, good for 30 minutes", env="GIGACHAT_ACCESS_TOKEN")
    gigachat_user: str = _text("user name, where there is no key", env="GIGACHAT_USER")
    gigachat_password: Secret = _secret("password of that user", env="GIGACHAT_PASSWORD")
    gigachat_base_url: str = _text(
        "address of the API", "https://api.giga.chat/v1", env="GIGACHAT_BASE_URL", kind="url"
    )
    gigachat_auth_url: str = _text(
        "address that gives tokens",
        "https://ngw.devices.sberbank.ru:9443/api/v2/oauth",
        env="GIGACHAT_AUTH_URL",
        kind="url",
    )
    gigachat_model: str = _text(
        "model that writes answers, where chat_model is empty", "GigaChat-2", env="GIGACHAT_MODEL"
    )
    gigachat_ca_file: str = _text(
        "certificate trusted besides the system's: Russian Trusted Root CA", env="GIGACHAT_CA_BUNDLE_FILE", kind="file"
    )
    gigachat_cert_file: str = _text("client certificate", env="GIGACHAT_CERT_FILE", kind="file")
    gigachat_key_file: str = _text("key of the client certificate", env="GIGACHAT_KEY_FILE", kind="file")
    gigachat_key_password: Secret = _secret("password of that key", env="GIGACHAT_KEY_FILE_PASSWORD")
    gigachat_verify: bool = _flag(
        True, "check the certificate; false needs insecure_tls_host", env="GIGACHAT_VERIFY_SSL_CERTS"
    )
    gigachat_client: str = _text("X-Client-ID: the owner of files and pictures")

    base_url: str = _text("address of an OpenAI-compatible API", kind="url")
    api_key: Secret = _secret("key for that address")
    openai_base_url: str = _text("the same, under the name that other programs read", env="OPENAI_BASE_URL", kind="url")
    openai_api_key: Secret = _secret("key of OpenAI, or of openai_base_url", env="OPENAI_API_KEY")
    embed_base_url: str = _text("address for embeddings, where it is another", kind="url")
    embed_api_key: Secret = _secret("key for that address")
    image_base_url: str = _text("address for pictures, where it is another", kind="url")
    image_api_key: Secret = _secret("key for that address")
    auth_scheme: str = _text("word before the key: Bearer, Api-Key, or - for none; empty takes the preset's")
    headers: Secret = _secret("headers sent along, as `name: value, name: value`", kind="headers")
    ca_file: str = _text("certificate trusted besides the system's, for that address", kind="file")
    verify: bool = _flag(True, "check the certificate of that address; false needs insecure_tls_host")
    insecure_tls_host: str = field(
        default="",
        metadata={
            "kind": "hosts",
            "about": "hosts whose certificates are not checked, with commas; never from ragkit.toml",
            "own_word": True,
        },
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __init__(self, *, origins: Mapping[str, str] | None = None, **values: Any) -> None:
        if unknown := values.keys() - _FIELDS.keys():
            raise TypeError(f"no settings: {', '.join(sorted(unknown))}")
        for name, each in _FIELDS.items():
            object.__setattr__(self, name, values.get(name, each.default))
        object.__setattr__(self, "origins", origins or {})

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in _FIELDS)})"

    def origin(self, name: str) -> str:
        """Where the value of setting `name` was decided."""
        return self.origins.get(name, "default")


_FIELDS = {each.name: each for each in fields(Settings) if each.name != "origins"}
_ELSEWHERE = {each.metadata["env"]: name for name, each in _FIELDS.items() if each.metadata.get("env")}


def names() -> dict[str, str]:
    """Every setting with its sentence of explanation, in order."""
    return {name: str(each.metadata["about"]) for name, each in _FIELDS.items()}


def load_settings(
    arguments: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    said_in: str = "argument",
) -> Settings:
    """All layers, checked and merged. An argument that is None was not given.

    Relative paths are taken from `cwd`, those in ragkit.toml from the folder of that file. `said_in` is the
    origin to show for `arguments`. Raises ConfigError for an unknown name, a wrong type or a value out of
    range, with the name, the value and where it was said.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else Path(cwd)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    file = _upwards(here, FILE, Path.is_file)
    if file is not None:
        base = file.resolve().parent if file.is_symlink() else file.parent  # not next to a link that others may set
        for name, value in _read(file).items():
            _known(name, f"in {file}")
            _allowed(name, file)
            values[name], origins[name] = _value(name, value, str(file), base), str(file)
            if isinstance(values[name], Secret):
                _only_ours(file, name)
    for variable, name in _ELSEWHERE.items():
        if environ.get(variable):
            values[name] = _value(name, environ[variable], f"the environment variable {variable}", here)
            origins[name] = f"environment {variable}"
    for variable, text in environ.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            _known(name, f"(the environment variable {variable})")
            if text:  # an empty variable is the shell's way to unset one for a single command
                values[name] = _value(name, text, f"the environment variable {variable}", here)
                origins[name] = f"environment {variable}"
    for name, value in (arguments or {}).items():
        _known(name, f"({said_in})")
        if value is not None:
            values[name], origins[name] = _value(name, value, said_in, here), said_in

    if "index" not in values:
        values["index"] = find_index(None, environ={}, cwd=here)
        if values["index"] != here / FOLDER or values["index"].is_dir():
            origins["index"] = NEAREST
    settings = Settings(**values, origins=origins)
    try:
        str(settings.index).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"index is {shown(str(settings.index))} ({settings.origin('index')}), which is not UTF-8",
            "choose a folder with another path",
        ) from error
    if settings.chunk_overlap > settings.chunk_size // 2:
        raise ConfigError(
            f"chunk_overlap is {settings.chunk_overlap} ({settings.origin('chunk_overlap')}), but chunk_size is "
            f"{settings.chunk_size} ({settings.origin('chunk_size')})",
            f"set chunk_overlap to {settings.chunk_size // 2} or less, half of chunk_size; a quarter is usual",
        )
    return settings


def find_index(
    explicit: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> Path:
    """The folder of the index: `explicit`, else RAGKIT_INDEX, else the nearest .ragkit upwards, else ./.ragkit.

    The folder need not exist. It is absolute, with `~` expanded.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else Path(cwd)
    said = explicit or environ.get(f"{PREFIX}INDEX")
    if said:
        return folder(said, here, f"index is {shown(said)}")
    return _upwards(here, FOLDER, Path.is_dir) or here / FOLDER


def _upwards(here: Path, name: str, is_there: Callable[[Path], bool]) -> Path | None:
    here = here.absolute()
    return next((folder / name for folder in (here, *here.parents) if is_there(folder / name)), None)


def _read(file: Path) -> dict[str, object]:
    import tomllib  # 10 ms that only those who have such a file should pay

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, or lists as deep
        raise ConfigError(f"{file} is not TOML in UTF-8: {error}", "mend the file or remove it") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", "mend its permissions or remove it") from error


def _known(name: str, where: str) -> None:
    if name in _FIELDS:
        return
    import difflib  # needed for a mistake only

    near = difflib.get_close_matches(name, _FIELDS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"unknown setting {name!r} {where}", hint or "`ragkit config` lists the settings: " + ", ".join(_FIELDS)
    )


def _allowed(name: str, file: Path) -> None:
    """Raises ConfigError for what only the user may say: a file may come with a stranger's folder."""
    if _FIELDS[name].metadata.get("own_word"):
        raise ConfigError(
            f"{name} stands in {file}: it is never read from a {FILE}",
            f"set {PREFIX}{name.upper()} in the environment, for the one command that needs it",
        )


def _value(name: str, value: object, origin: str, base: Path) -> Any:
    return checked(name, value, _FIELDS[name].metadata, origin, base)


def _only_ours(file: Path, name: str) -> None:
    """Raises ConfigError where others can read a file with a secret in it."""
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise ConfigError(
            f"{file} holds {name}, and others on this machine can read it",
            f"run: chmod 600 {file}, or put it into the environment",
        )
