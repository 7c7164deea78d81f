"""What is answered: one pure function from a conversation to an answer, the same for every dialect.

It knows messages, functions and attached files; it knows nothing about requests, replies and tokens.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ragkit.sandbox import functions as calling
from ragkit.sandbox import sources
from ragkit.sandbox.reading import describe, text_of
from ragkit.sandbox.words import is_russian, stems

if TYPE_CHECKING:
    from ragkit.sandbox.filestore import File

_DRAW = re.compile(
    r"\b(?:нарису|дорису|изобраз|сгенерируй\s+(?:картин|изображ)|draw\b|paint\b|sketch\b)", re.IGNORECASE
)
_TEXT_KEYS = ("text", "content", "passage", "quote", "snippet", "chunk", "answer")
_NUMBER_KEYS = ("n", "number", "marker", "source", "index", "ref", "id", "номер")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the model sees.

    `mode` is "none", "auto" or the name of a forced function; `schema` is the JSON schema that an answer must have.
    """

    messages: list[dict[str, Any]]  # role, content; name and function_call as GigaChat writes them
    mode: str = "none"
    functions: list[dict[str, Any]] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)  # partial arguments of a forced function
    files: list[File] = field(default_factory=list)  # attached to the last question, oldest first
    schema: dict[str, Any] | None = None
    draws: bool = False  # whether there is a built-in text2image


@dataclass(frozen=True, slots=True)
class Thought:
    """Text, or a function to call, or something to draw."""

    text: str = ""
    call: dict[str, Any] | None = None  # {"name", "arguments"}
    draw: str | None = None


def think(talk: Conversation) -> Thought:
    """The answer to a conversation."""
    asked = max((at for at, message in enumerate(talk.messages) if message["role"] == "user"), default=-1)
    said = str(talk.messages[asked].get("content") or "") if asked >= 0 else ""
    results = [message for message in talk.messages[asked + 1 :] if message["role"] == "function"]
    if talk.mode not in ("none", "auto"):
        forced = next(function for function in talk.functions if function["name"] == talk.mode)
        return Thought(call={"name": forced["name"], "arguments": calling.arguments(forced, said, talk.given)})
    if talk.mode == "auto" and talk.functions:
        done = [str(message.get("name", "")) for message in results]
        chosen = calling.choose(said, talk.functions, done)
        # a result without a name still is one: the same call is not made for ever
        if chosen is not None and len(results) < len(talk.functions):
            return Thought(call={"name": chosen["name"], "arguments": calling.arguments(chosen, said)})
    if talk.mode == "auto" and talk.draws and not talk.functions and _DRAW.search(said):
        return Thought(draw=said)
    found = _found(talk, said, results)
    if talk.schema is not None:
        return Thought(text=json.dumps(calling.build(talk.schema, found or said), ensure_ascii=False))
    return Thought(text=found or _echo(said))


def _found(talk: Conversation, said: str, results: list[dict[str, Any]]) -> str | None:
    """The answer from results of functions, attached files or numbered sources; None where there are none."""
    told = "\n".join(str(message.get("content") or "") for message in talk.messages)
    if results:
        return _from_results(said, [str(message.get("content") or "") for message in results], told)
    if talk.files:
        return _from_files(said, talk.files, told)
    question, found = sources.find([(message["role"], str(message.get("content") or "")) for message in talk.messages])
    return (sources.answer(question, found) or sources.refusal(question, told)) if found else None


def _echo(said: str) -> str:
    if not said:
        return "Чем я могу помочь?"
    shown = " ".join(said.split())
    if is_russian(said):
        return f"Это песочница: за ней нет модели. Вы написали: «{shown}»"
    return f'This is a sandbox, there is no model behind it. You wrote: "{shown}"'


def _from_results(question: str, contents: list[str], told: str) -> str:
    """The best sentence of what the functions returned, with its marker where the result carries numbers."""
    candidates: list[sources.Source] = []
    values: list[Any] = []
    for content in contents:
        try:
            values.append(json.loads(content))
        except ValueError:
            values.append(content)
        candidates += _candidates(values[-1])
    found = sources.answer(question, candidates)
    if found is not None:
        return found
    if any(source.number is not None for source in candidates):
        return sources.refusal(question, told)
    return "; ".join(filter(None, (_flat(value) for value in values))) or sources.refusal(question, told)


def _candidates(value: Any) -> list[sources.Source]:
    if isinstance(value, str):
        return sources.numbered(value) or [sources.Source(None, value)]
    if isinstance(value, list):
        return [found for item in value for found in _candidates(item)]
    if not isinstance(value, dict):
        return []
    key = next((key for key in _TEXT_KEYS if isinstance(value.get(key), str)), None)
    number = _number(value) if key else None
    if key is not None and number is not None:
        return [sources.Source(number, value[key])]
    return [found for inner in value.values() for found in _candidates(inner)]


def _number(value: dict[str, Any]) -> int | None:
    for key in _NUMBER_KEYS:
        given = value.get(key)
        if isinstance(given, int) and not isinstance(given, bool):
            return given
        found = re.fullmatch(r"\[?(\d{1,3})\]?", given.strip()) if isinstance(given, str) else None
        if found:
            return int(found[1])
    return None


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(inner) for inner in value)
    return str(value)


def _from_files(question: str, files: list[File], told: str) -> str:
    """The best sentence of the attached texts, or what can be said about files that are not read.

    Where the texts are silent, the word that the prompt asks for. Asked what they are about, or for no word, how the
    first of them begins.
    """
    texts = [found for file in files if (found := text_of(file)) is not None]
    if texts:
        answer = sources.answer(question, [sources.Source(None, text) for text in texts])
        if answer is not None:
            return answer
        word = sources.refusal_word(told)
        if word and stems(question):
            return word
        russian = is_russian(question)
        opening = " ".join(texts[0].split())[:200]
        return (
            f"В документе об этом не сказано. Он начинается так: «{opening}»"
            if russian
            else (f'The document does not say. It begins: "{opening}"')
        )
    return " ".join(describe(file, russian=is_russian(question)) for file in files)
