"""Services that speak the API of OpenAI: chat, embeddings, pictures, models. What differs from one to another is in
its preset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from ragkit.budget import Prices
from ragkit.errors import ApiError, BadResponse, ConfigError, ProviderError, RagkitError, StreamInterrupted
from ragkit.messages import Balance, ChatOptions, Completion, Delta, Image, ImageOptions, Message, Model, TokenCount
from ragkit.metering import spend
from ragkit.providers.connection import TLS, Connection, Door
from ragkit.providers.embedding import Count, Limits, RemoteEmbedder
from ragkit.providers.lengths import estimates
from ragkit.providers.presets import PRESETS, Preset
from ragkit.providers.wire import embeddings, images, models
from ragkit.providers.wire.openai import Assembler, chat_body, completion
from ragkit.providers.words import line
from ragkit.secret import Secret

if TYPE_CHECKING:
    from ragkit.messages import Function, FunctionChoice
    from ragkit.providers.http import Http
    from ragkit.providers.jsontext import Reply
    from ragkit.types import FloatMatrix, Usage


class OpenAICompatible:
    """One service, by its address and key. Fills ChatModel and ImageModel; `embedder` makes an Embedder.

    Args:
        base_url: with the version, as https://api.openai.com/v1; empty takes the preset's.
        api_key: text or Secret; empty where the server asks for none.
        preset: a name of `presets.PRESETS`, or a Preset of one's own.
        chat_model: writes answers; empty takes the preset's, as with `image_model`.
        options: how to generate, where a call does not say otherwise.
        slots: requests on their way at once, streams until they end; 0 takes the preset's.
        retries: how often a request is sent again.
        timeout: seconds of silence before an answer; ten times as many before one that is paid for by its length.
        deadline: seconds that a request may take with its repeats and the waits between them; at least `timeout`.
        headers: sent with every request.
        ca_file: a certificate to trust besides the system's.
        insecure_hosts: hosts, by name, whose certificates are not checked.
    """

    def __init__(
        self,
        base_url: str = "",
        api_key: str | Secret = "",
        *,
        preset: str | Preset = "openai",
        chat_model: str = "",
        image_model: str = "",
        options: ChatOptions = ChatOptions(),
        prices: Prices = Prices(),
        slots: int = 0,
        retries: int = 5,
        timeout: float = 60.0,
        deadline: float = 120.0,
        scheme: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str = "",
        insecure_hosts: Sequence[str] = (),
        proxy: str = "",
    ) -> None:
        if isinstance(preset, str) and preset not in PRESETS:
            raise ConfigError(f"no preset is called {preset!r}", f"choose one of: {', '.join(PRESETS)}")
        chosen = PRESETS[preset] if isinstance(preset, str) else preset
        self._connection = Connection(
            base_url or chosen.base_url,
            slots or chosen.slots,
            retries=retries,
            timeout=timeout,
            deadline=deadline,
            headers=dict(headers or {}),
            tls=TLS(ca_file=ca_file, insecure_hosts=tuple(insecure_hosts)),
            proxy=proxy,
        )
        self._door = Door()
        self._key = Secret.of(api_key), chosen.scheme if scheme is None else scheme
        self._preset = chosen
        self._count: Count | None = None
        self._chat_model = chat_model or chosen.chat_model
        self._image_model = image_model or chosen.image_model
        self._options = options
        self._prices = prices

    @property
    def _http(self) -> Http:
        """Opened by the first request: a program that only looks at its index needs no net."""
        return self._door.opened(self._open)

    def _open(self, stack: ExitStack) -> Http:  # noqa: ARG002 - GigaChat opens more than one connection
        from ragkit.providers.authorization import ApiKey

        key, scheme = self._key
        url = self._connection.base_url
        if not url:
            raise ConfigError("the service has no address", "set base_url")
        if self._preset.needs_key and not key and url == self._preset.base_url:
            raise ConfigError(f"{url} needs a key, and none is set", "set api_key, or OPENAI_API_KEY for OpenAI")
        return self._connection.open(ApiKey(key, scheme))

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection that it may open, for who looks at how it is reached."""
        return (self._connection,)

    @property
    def http(self) -> Http:
        """The door itself, for what has no verb here. Raises ConfigError where the key is missing."""
        return self._http

    # -- chat

    @property
    def chat_model(self) -> str:
        return self._chat_model

    def complete(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Completion:
        """One answer. Raises ConfigError for what the service would refuse, ProviderError for what went wrong."""
        options = self._merged(options)
        body = self._body(messages, functions, function_call, options, stream=False)

        def parse(reply: Reply) -> Completion:
            found = completion(reply.json(), request_id=reply.request_id)
            return replace(found, usage=found.usage + reply.wasted)

        headers = self._headers(options)
        with self._failures_billed():
            found = self._http.request(
                "POST", "/chat/completions", json=body, headers=headers, parse=parse, costly=True
            )
        return self._billed(found)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Iterator[Delta]:
        """The answer in pieces; the last one holds the whole completion. Sent again only before the first piece.

        Raises StreamInterrupted with what had come, where the stream ends before its end.
        """
        options = self._merged(options)
        body = self._body(messages, functions, function_call, options, stream=True)
        events_of = self._http.events("/chat/completions", json=body, headers=self._headers(options))
        with self._failures_billed(), events_of as events:
            answer = Assembler(service=self._http.service, request_id=events.request_id)
            try:
                for data in events:
                    delta = answer.feed(data)
                    if delta:
                        yield delta
                    if answer.done:
                        break
            except (StreamInterrupted, ApiError) as error:  # the connection knows not what was text
                if isinstance(error, ApiError) and not answer.text:
                    raise
                raise answer.interrupted(error) from error
            whole = self._billed(answer.finish())  # in the block, which takes the key out of what is raised
        yield Delta(completion=whole)

    def _merged(self, options: ChatOptions | None) -> ChatOptions:
        """The call's options over those of the service."""
        ours, theirs = self._options, options or ChatOptions()
        default = ChatOptions()
        said = {
            name: value
            for name in ChatOptions.__dataclass_fields__
            if (value := getattr(theirs, name)) != getattr(default, name)
        }
        if "extra" in said:
            said["extra"] = {**ours.extra, **theirs.extra}
        merged = replace(ours, **said)
        model = merged.model or self._chat_model
        if not model:
            raise ConfigError("no chat model is named", "set chat_model; `ragkit models` lists what there is")
        return replace(merged, model=model)

    def _body(
        self,
        messages: Sequence[Message],
        functions: Sequence[Function],
        function_call: FunctionChoice,
        options: ChatOptions,
        *,
        stream: bool,
    ) -> dict[str, object]:
        more = {"usage_in_stream": self._preset.stream_usage} if stream else {}
        return chat_body(
            options.model,
            messages,
            functions=functions,
            function_call=function_call,
            options=options,
            stream=stream,
            **more,
        )

    def _headers(self, options: ChatOptions) -> dict[str, str]:  # noqa: ARG002 - GigaChat's depend on them
        return {}

    @contextmanager
    def _failures_billed(self) -> Iterator[None]:
        """What an answer cost that came to nothing goes to the caller's meter too."""
        try:
            yield
        except RagkitError as error:
            if error.usage:
                error.usage = replace(error.usage, cost=self._prices.of(error.usage))
                spend(error.usage)
            raise

    def _billed(self, completion: Completion) -> Completion:
        usage = replace(completion.usage, cost=self._prices.of(completion.usage))
        spend(usage)
        return replace(completion, usage=usage)

    # -- embeddings

    def embed(
        self, model: str, texts: Sequence[str], dimension: int = 0, *, dimensions: int = 0
    ) -> tuple[FloatMatrix, Usage]:
        """One request: rows (n, d) float32 in the order of the texts, not normalised, and what was billed.

        `dimensions` is asked for, where not 0. `dimension` is what d has to be, where it is known; other rows are a
        BadResponse.
        """
        body = embeddings.body(
            model,
            texts,
            encoding_format=self._preset.encoding_format or None,
            dimensions=dimensions or None,
            single=self._preset.single_input,
        )

        def parse(reply: Reply) -> tuple[FloatMatrix, Usage]:
            rows, usage = embeddings.vectors(reply.json(), count=len(texts), dimension=dimension or dimensions or None)
            return rows, usage + reply.wasted

        return self._http.request("POST", "/embeddings", json=body, parse=parse, stubborn=True)

    def embedder(
        self,
        model: str = "",
        *,
        query_model: str = "",
        document_prefix: str = "",
        query_prefix: str = "",
        dimensions: int = 0,
        revision: str = "",
        batch_items: int = 0,
    ) -> RemoteEmbedder:
        """An Embedder on this service; empty values are the preset's. `RemoteEmbedder` tells the rest."""
        preset = self._preset
        model = model or preset.embed_model
        if not model:
            raise ConfigError("no embedding model is named", "set embed_model; `ragkit models` lists what there is")
        if dimensions and not preset.dimensions:
            raise ConfigError(f"{dimensions} dimensions are asked for", "this service has no such choice: leave it out")
        return RemoteEmbedder(
            partial(self.embed, dimensions=dimensions),
            model,
            query_model=query_model or preset.query_model,
            document_prefix=document_prefix,
            query_prefix=query_prefix,
            dimensions=dimensions,
            revision=revision,
            limits=Limits(
                batch_items or preset.batch_items, preset.batch_bytes, preset.batch_tokens, self._connection.slots
            ),
            prices=self._prices,
            count=self._count,
        )

    # -- tokens

    def count_tokens(self, texts: Sequence[str], model: str = "") -> tuple[list[TokenCount], bool]:  # noqa: ARG002 - GigaChat's is asked
        """About how long each text is, and False: these services do not count for others."""
        return estimates(texts), False

    def balance(self) -> list[Balance]:
        """Raises ConfigError: the API has no such question."""
        raise ConfigError("this service does not tell what is left", "look at its page; GigaChat tells")

    # -- models and pictures

    def models(self) -> list[Model]:
        """What the service offers."""
        return self._http.request("GET", "/models", parse=lambda reply: models.models(reply.json()))

    def generate(self, prompt: str, options: ImageOptions | None = None) -> Iterator[Image]:
        """Pictures of what the prompt says, one after another. Raises ContentRejected where the service refuses.

        One that was drawn and cannot be fetched is an error with its address.
        """
        options = options or ImageOptions()
        options = replace(options, model=options.model or self._image_model)
        if not options.model:
            raise ConfigError("no model that draws is named", "set image_model; `ragkit models` lists what there is")
        drawn = self._http.request(
            "POST",
            "/images/generations",
            json=images.body(prompt, options),
            parse=lambda reply: images.images(reply.json()),
            costly=True,
        )
        for each in drawn:
            data = each.data or self._fetched(each.url)
            yield Image(data, images.media_type(data), each.revised_prompt)

    def _fetched(self, url: str) -> bytes:
        """A picture from the address that the service gave. On another host it gets neither our key nor our trust:
        an authority that was named for the service may not vouch for others, nor do they see our certificate.
        """
        from ragkit.providers.address import address
        from ragkit.providers.authorization import ApiKey
        from ragkit.providers.foreign import followed

        try:
            place = followed(url, address(self._connection.base_url))
            connection = replace(self._connection, base_url=place.base_url, headers={})
            if place.addresses is not None:
                connection = replace(connection, tls=TLS(), pinned=place.addresses)
            with closing(connection.open(ApiKey(Secret("")))) as elsewhere:
                data = elsewhere.request("GET", place.path, parse=lambda reply: reply.body)
            if not images.media_type(data):
                raise BadResponse(f"{elsewhere.service} sent {len(data)} bytes that are no picture of a known kind")
        except ProviderError as error:
            error.hint = f"the picture is drawn and paid for; fetch it from {line(url, 2000)}"
            raise
        return data

    def close(self) -> None:
        """Let go of all connections. A closed service opens them again when it is used."""
        self._door.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
