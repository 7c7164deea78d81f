"""GigaChat, as the list of its differences from an OpenAI-compatible service: tokens that are asked for and expire,
functions instead of tools, files that stay there, pictures drawn in a chat, tokens counted for free.

What is known of it beyond its documentation is kept as arguments with defaults, for it changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ragkit.budget import Prices
from ragkit.errors import ConfigError, ProviderError
from ragkit.messages import Balance, ChatOptions, Image, ImageOptions, Message, Model, RemoteFile, TokenCount
from ragkit.prompts import language_of
from ragkit.providers.batches import Limits, in_batches
from ragkit.providers.connection import TLS, Connection
from ragkit.providers.openai import OpenAICompatible
from ragkit.providers.presets import Preset
from ragkit.providers.wire import files, images, models, tokens
from ragkit.providers.wire.gigachat import chat_body
from ragkit.secret import Secret

if TYPE_CHECKING:
    from ragkit.messages import Function, FunctionChoice
    from ragkit.providers.authorization import Authorization
    from ragkit.providers.http import Http

BASE_URL = "https://api.giga.chat/v1"
AUTH_URL = "https://ngw.devices.sberbank.ru:9443/api/v2/oauth"
PERSONAL = "GIGACHAT_API_PERS"
# One stream for individuals, ten for legal entities, by the service's page of limitations.
PERSONAL_SLOTS, BUSINESS_SLOTS = 1, 10
# The embedder bills the count of `/tokens/count` and five more for each text, in recorded replies.
EMBEDDING_OVERHEAD = 5

# No encoding_format: the service does not know it. The size of batches is not documented; 16 to 64 are reported
# to work. (gigachat and langchain-gigachat send whatever they are given.)
_PRESET = Preset(
    BASE_URL,
    embed_model="Embeddings",
    chat_model="GigaChat-2",
    batch_items=16,
    batch_bytes=500_000,
    batch_tokens=100_000,
    encoding_format="",
    dimensions=False,
)


_ASKS = re.compile(
    r"\s*(?:please\s+)?(?:нарису|изобраз|сгенерир|созда|сдела|покаж|draw|paint|sketch|create|generate|make|show)",
    re.IGNORECASE,
)


class GigaChat(OpenAICompatible):
    """Fills ChatModel, FileStore and ImageModel; `embedder` makes an Embedder.

    Args:
        credentials: the authorization key, base64 of client id and secret, as the service's page shows it.
        scope: GIGACHAT_API_PERS, GIGACHAT_API_B2B or GIGACHAT_API_CORP.
        access_token: a ready token, good for 30 minutes; `credentials` take over when it is refused.
        user, password: where there is no key.
        client_id: X-Client-ID, the owner of files and pictures.
        slots: requests on their way at once; 0 is 1 for GIGACHAT_API_PERS, else 10.
        ca_file: trusted besides the system's certificates; the services need the Russian Trusted Root CA.
        cert_file, key_file, key_password: a client certificate.

    The other arguments are those of OpenAICompatible.
    """

    def __init__(
        self,
        credentials: str | Secret = "",
        *,
        scope: str = PERSONAL,
        access_token: str | Secret = "",
        user: str = "",
        password: str | Secret = "",
        base_url: str = BASE_URL,
        auth_url: str = AUTH_URL,
        chat_model: str = "",
        image_model: str = "",
        options: ChatOptions = ChatOptions(),
        prices: Prices = Prices(),
        client_id: str = "",
        slots: int = 0,
        retries: int = 5,
        timeout: float = 60.0,
        deadline: float = 120.0,
        ca_file: str = "",
        cert_file: str = "",
        key_file: str = "",
        key_password: str | Secret = "",
        insecure_hosts: Sequence[str] = (),
        proxy: str = "",
    ) -> None:
        super().__init__(
            base_url,
            preset=_PRESET,
            chat_model=chat_model,
            image_model=image_model,
            options=options,
            prices=prices,
            slots=slots or (PERSONAL_SLOTS if scope == PERSONAL else BUSINESS_SLOTS),
            retries=retries,
            timeout=timeout,
            deadline=deadline,
            headers={"X-Client-ID": client_id} if client_id else {},
            proxy=proxy,
        )
        tls = TLS(ca_file, cert_file, key_file, Secret.of(key_password), tuple(insecure_hosts))
        self._connection = replace(self._connection, tls=tls)
        self._credentials, self._token = Secret.of(credentials), Secret.of(access_token)
        self._user, self._password = user, Secret.of(password)
        self._scope, self._auth_url = scope, auth_url
        self._count = self._billed_tokens

    def _open(self, stack: ExitStack) -> Http:
        from ragkit.providers.authorization import OAuthToken, PasswordToken, ReadyToken

        def connect(address: str, proof: Authorization) -> Http:
            self._check_lasting(address)
            opened = replace(self._connection, base_url=address, slots=1, headers={}).open(proof)
            stack.callback(opened.close)
            return opened

        authorization: Authorization | None = None
        if self._credentials:
            authorization = OAuthToken(self._auth_url, self._credentials, self._scope, connect=connect)
        elif self._user:
            authorization = PasswordToken(self._connection.base_url, self._user, self._password, connect=connect)
        if self._token:
            authorization = ReadyToken(self._token, authorization)
        if authorization is None:
            raise ConfigError(
                "GigaChat has no key", "set GIGACHAT_CREDENTIALS to the authorization key of your project"
            )
        return self._connection.open(authorization)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Of the API, and of the service that gives tokens where it is asked."""
        tokens = [replace(self._connection, base_url=self._auth_url)] if self._credentials else []
        return (self._connection, *tokens)

    def _check_lasting(self, url: str) -> None:
        """What lasts for months is not shown to a host that may be anybody. Raises ConfigError."""
        from ragkit.providers.address import address  # heavy, as all that a request needs

        host = address(url).host
        if url.startswith("https:") and host in self._connection.tls.insecure_hosts:
            raise ConfigError(
                f"the key of GigaChat is not sent to {host}, whose certificate is not checked",
                "take insecure_tls_host back and give the Russian Trusted Root CA, from gosuslugi.ru/crt, as"
                " GIGACHAT_CA_BUNDLE_FILE; or leave the key out and give a GIGACHAT_ACCESS_TOKEN, good for 30 minutes",
            )

    @property
    def account(self) -> str:
        """A name for address and account that gives neither away."""
        proof = self._credentials or self._token or self._password
        client = self._connection.headers.get("X-Client-ID", "")
        return proof.fingerprint(self._connection.base_url, self._scope, self._user, client)

    # -- what is said in other words

    def _body(
        self,
        messages: Sequence[Message],
        functions: Sequence[Function],
        function_call: FunctionChoice,
        options: ChatOptions,
        *,
        stream: bool,
    ) -> dict[str, Any]:
        return chat_body(
            options.model, messages, functions=functions, function_call=function_call, options=options, stream=stream
        )

    def _headers(self, options: ChatOptions) -> dict[str, str]:
        return {"X-Session-ID": options.session_id} if options.session_id else {}

    # -- tokens

    def count_tokens(self, texts: Sequence[str], model: str = "") -> tuple[list[TokenCount], bool]:
        """How long each text is for a model, the chat model unless another is named. Counting costs nothing."""
        preset = self._preset
        limits = Limits(preset.batch_items, preset.batch_bytes, preset.batch_tokens)
        return in_batches(texts, limits, partial(self._counted, model or self._chat_model)), True

    def _billed_tokens(self, model: str, texts: Sequence[str]) -> list[int]:
        return [each.tokens + EMBEDDING_OVERHEAD for each in self._counted(model, texts)]

    def _counted(self, model: str, texts: Sequence[str]) -> list[TokenCount]:
        """One request."""
        body = tokens.body(model, texts)
        return self._http.request(
            "POST", "/tokens/count", json=body, parse=lambda reply: tokens.counts(reply.json(), count=len(texts))
        )

    def balance(self) -> list[Balance]:
        """What is left of prepaid tokens. Raises PermissionDenied for an account that pays as it goes."""
        return self._http.request("GET", "/balance", parse=lambda reply: tokens.balance(reply.json()))

    # -- files

    def upload(self, path: str | Path, *, name: str = "", purpose: str = "general") -> RemoteFile:
        """Send a file, straight from the disk. Raises ConfigError for a kind or size that the service does not take."""
        place = Path(path)
        try:
            size = place.stat().st_size
        except OSError as error:
            raise ConfigError(f"{place} cannot be read: {error.strerror}", "name a file that can") from error
        kind = files.check_upload(name or place.name, size)
        return self._http.upload(
            "/files",
            fields={"purpose": purpose},
            file=place,
            name=name or place.name,
            media_type=kind.media_type,
            parse=lambda reply: files.remote_file(reply.json()),
        )

    def files(self) -> list[RemoteFile]:
        """All files of the account."""
        return self._http.request("GET", "/files", parse=lambda reply: files.remote_files(reply.json()))

    def file(self, id: str) -> RemoteFile:
        """One file. Raises NotFound for an unknown id."""
        return self._http.request("GET", _place(id), parse=lambda reply: files.remote_file(reply.json()))

    def content(self, id: str) -> bytes:
        """The bytes of a file, or of a picture that the model drew."""
        return self._http.request(
            "GET", f"{_place(id)}/content", headers={"Accept": "*/*"}, parse=lambda reply: reply.body
        )

    def delete(self, id: str) -> bool:
        """Delete a file; whether the service says that it is gone."""
        return self._http.request("POST", f"{_place(id)}/delete", parse=lambda reply: files.deleted(reply.json()))

    # -- models and pictures

    def model(self, id: str) -> Model:
        """One model. Raises NotFound for an unknown id."""
        return self._http.request("GET", f"/models/{_part(id)}", parse=lambda reply: models.model(reply.json()))

    def generate(self, prompt: str, options: ImageOptions | None = None) -> Iterator[Image]:
        """Pictures that the model draws with its own text2image, each as it comes, one for each request.

        `options.system` sets the manner. Raises ConfigError for options that only other services have, and
        BadResponse with the model's words where it does not draw.
        """
        options = options or ImageOptions()
        foreign = [n for n in ("size", "quality", "style", "response_format") if getattr(options, n)]
        if foreign:
            raise ConfigError(
                f"GigaChat draws without {', '.join(foreign)}", "say it in the prompt, or in the system message"
            )
        messages = [Message("system", options.system)] if options.system else []
        messages.append(Message("user", prompt if _ASKS.match(prompt) else f"{_ask_for(prompt)}: {prompt}"))
        for _ in range(options.n):
            yield self._drawn(messages, options)

    def _drawn(self, messages: Sequence[Message], options: ImageOptions) -> Image:
        chat = ChatOptions(model=options.model or self._image_model)
        answer = self.complete(messages, function_call="auto", options=chat)
        id = images.image_id(answer.text)
        try:
            data = self.content(id)
        except ProviderError as error:
            error.hint = f"the picture is drawn and paid for; fetch it with: ragkit files get {id} -o FILE"
            raise
        return Image(data, images.media_type(data), text=images.image_text(answer.text))


def _ask_for(prompt: str) -> str:
    """The model draws when it is asked to: a bare subject gets the request put before it, in its language."""
    return "Нарисуй" if language_of(prompt) == "ru" else "Draw"


def _place(id: str) -> str:
    return f"/files/{_part(id)}"


def _part(id: str) -> str:
    """One step of a path: nothing in an id leads elsewhere."""
    return quote(id, safe="")
