"""The nouns of talking to a model: messages, functions, completions, files, images. They know no wire format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ragkit.types import Usage

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model asks for. `id` is the name of this call where the service gives one."""

    name: str
    arguments: Json
    id: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the model may ask to be called.

    `parameters` and `return_parameters` are JSON Schemas of type object; `few_shot_examples` are pairs
    {"request": what a user says, "params": the arguments that follow}.
    """

    name: str
    description: str = ""
    parameters: Json = field(default_factory=lambda: {"type": "object", "properties": {}})
    few_shot_examples: tuple[Json, ...] = ()
    return_parameters: Json | None = None


@dataclass(frozen=True, slots=True)
class Forced:
    """The function that must be called, with the arguments that are settled already."""

    name: str
    partial_arguments: Json = field(default_factory=dict)


FunctionChoice: TypeAlias = "str | Forced"  # "none", "auto", or a forced one


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that travels inside a message, for services that keep no files."""

    data: bytes = field(repr=False)
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is "system", "user", "assistant" or "function".

    `attachments` are ids of uploaded files. A function's result has the function's `name` and a JSON object as
    content. `functions_state_id` and `data_for_context` come with an assistant's message and go back with it
    unchanged: they are the service's memory of the functions that it called. `further_calls` are what a service
    asks for beside `function_call` in the same turn; GigaChat never does.
    """

    role: str
    content: str
    attachments: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    function_call: FunctionCall | None = None
    name: str = ""
    functions_state_id: str = ""
    data_for_context: tuple[Json, ...] = ()
    call_id: str = ""
    reasoning: str = ""
    further_calls: tuple[FunctionCall, ...] = ()

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """Every call that the message asks for, in order."""
        return (self.function_call, *self.further_calls) if self.function_call else ()


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How to generate; None leaves a choice to the service.

    `session_id` lets GigaChat keep the context of a conversation in its cache. `update_interval` is seconds
    between the pieces of a stream. `extra` goes into the request as it is.
    """

    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    n: int | None = None
    repetition_penalty: float | None = None
    update_interval: float | None = None
    profanity_check: bool | None = None
    response_format: Json | None = None
    session_id: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Talk:
    """What a question stands in: `history` are the turns before it, without their sources, given to the model too.

    `session` is ChatOptions.session_id. `nonce` is what the marks around sources are made of, the same in each turn,
    so that rules which do not change can be cached. `query` is searched for, where that is not the question.
    """

    history: tuple[Message, ...] = ()
    session: str = ""
    nonce: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer of a model. `model` is what the service says answered, often with a version.

    `finish_reason` is "stop", "length", "function_call", "blacklist", "error" or the service's own word.
    `others` are further answers where more than one was asked for.
    """

    message: Message
    finish_reason: str
    model: str = ""
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    request_id: str = ""
    created: int = 0
    others: tuple[Completion, ...] = ()

    @property
    def text(self) -> str:
        return self.message.content


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a stream: more text, or news of a function at work, or at the end the whole completion."""

    text: str = ""
    progress: str = ""
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a service offers. `type` is its word for the kind: "chat", "embedder"; empty where it says none."""

    id: str
    type: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """The length of one text in tokens of a model, and in characters."""

    tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on the account: tokens of one kind or of one model."""

    usage: str
    value: float


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that the service keeps. `created` is seconds since 1970, UTC."""

    id: str
    name: str
    size: int
    created: int = 0
    purpose: str = ""
    access: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a model made. `revised_prompt` is what the model made of the prompt; `text` is what it said."""

    data: bytes = field(repr=False)
    media_type: str = ""
    revised_prompt: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How to draw; empty leaves a choice to the service. `size` is "1024x1024"."""

    model: str = ""
    n: int = 1
    size: str = ""
    quality: str = ""
    style: str = ""
    response_format: str = ""
    system: str = ""


Messages: TypeAlias = Sequence[Message]
