"""Calling a user's function: which one fits a question, and arguments built from the question by its schema."""

from __future__ import annotations

import re
from typing import Any

from ragkit.sandbox.words import is_russian, stems, words

_QUOTED = re.compile(r"«([^»]+)»|\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_NUMBER_WORDS = (  # the first of a line is 1
    ("один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять"),
    ("одна", "две"),
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
)
_NUMBER_OF_WORD = {word: number for line in _NUMBER_WORDS for number, word in enumerate(line, start=1)}
_PLACE = re.compile(r"\b(?:в|во|на|из|от|до|у|in|at|from|to|for|of)\s+((?:[A-ZА-ЯЁ][\w-]*)(?:\s+[A-ZА-ЯЁ][\w-]*)*)")
_FROM = re.compile(r"\b(?:из|от|с|from)\s+([A-ZА-ЯЁ][\w-]*)")
_TO = re.compile(r"\b(?:в|до|to)\s+([A-ZА-ЯЁ][\w-]*)")
_ID = re.compile(r"\bid\s*[:=№]?\s*([\w-]+)", re.IGNORECASE)

_FIRST = re.compile(
    r"вызвав\s+сначала|сначала\s+вызови|call\b.{0,60}\bfirst|first\s+call|предварительно\s+вызови", re.IGNORECASE
)
_BEFORE = re.compile(r"вызови\s+эту\s+функцию\s+перед|call\s+this\s+function\s+before", re.IGNORECASE)
DEEPEST = 6  # levels of a schema


def choose(question: str, functions: list[dict[str, Any]], called: list[str]) -> dict[str, Any] | None:
    """The function to call next, or None when the one that fits has been called.

    The best one shares most words with the question, in its name, description, arguments and examples. A function
    whose description names another one to be called first is preceded by that one.
    """
    wanted = stems(question)
    best = max(functions, key=lambda function: len(wanted & _stems_of(function)))  # the first one of equals
    chain = [*_before(best, functions), best]
    return next((function for function in chain if function["name"] not in called), None)


def arguments(function: dict[str, Any], question: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Arguments by the function's schema; what was given stays."""
    for example in _list(function.get("few_shot_examples")):
        if isinstance(example, dict) and _plain(str(example.get("request", ""))) == _plain(question):
            return {**_dict(example.get("params")), **(given or {})}
    schema = _dict(function.get("parameters"))
    made = build(schema, question)
    return {**(made if isinstance(made, dict) else {}), **(given or {})}


def build(schema: dict[str, Any], text: str, root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """A value of that schema, filled from the text: numbers, enums, places, quotations, else the whole text."""
    return _Builder(text, root or schema).value(schema, "", depth, needed=True)


class _Builder:
    """One walk through a schema; each quotation of the text is used once."""

    def __init__(self, text: str, root: dict[str, Any]) -> None:
        self.text = text
        self.root = root
        self.quotes = [next(filter(None, found)) for found in _QUOTED.findall(text)]

    def value(self, schema: dict[str, Any], name: str, depth: int, *, needed: bool) -> Any:
        """A value, or None for an optional one that the text says nothing about."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if _list(schema.get("enum")):
            return self._enum(schema["enum"], needed=needed)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            item = self.value(_dict(schema.get("items")) or {"type": "string"}, name, depth + 1, needed=needed)
            return [item] if item is not None else None
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer", needed=needed)
        if kind == "boolean":
            return False if needed else None
        return None if kind == "null" else self._string(schema, name, needed=needed)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        for key in ("anyOf", "oneOf", "allOf"):
            options = [option for option in _list(schema.get(key)) if _dict(option).get("type") != "null"]
            if options:
                return self._resolved({**schema, key: None, **_dict(options[0])})
        reference = str(schema.get("$ref", ""))
        if reference.startswith("#/"):
            target: Any = self.root
            for part in reference[2:].split("/"):
                target = target.get(part, {}) if isinstance(target, dict) else {}
            return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties, required = _dict(schema.get("properties")), _list(schema.get("required"))
        made: dict[str, Any] = {}
        if depth >= DEEPEST:
            return made
        for name, inner in properties.items():
            if isinstance(inner, dict):
                value = self.value(inner, name, depth + 1, needed=name in required)
                if value is not None:
                    made[name] = value
        if not made and not required:  # a search with nothing required still has to be told what to look for
            asked = next(
                (name for name in properties if re.search("query|question|text|запрос|вопрос", name, re.I)), None
            )
            return {asked: self.text} if asked else {}
        return made

    def _enum(self, options: list[Any], *, needed: bool) -> Any:
        text = words(self.text)
        for option in options:
            if any(word.startswith(stem) for stem in stems(str(option)) for word in text):
                return option
        return options[0] if needed else None

    def _number(self, schema: dict[str, Any], *, whole: bool, needed: bool) -> float | None:
        found = _NUMBER.search(self.text)
        spoken = next((_NUMBER_OF_WORD[word] for word in words(self.text) if word in _NUMBER_OF_WORD), None)
        if found is None and spoken is None:
            value = 1.0 if needed else None
        else:
            value = float(found[0].replace(",", ".")) if found else float(spoken or 0)
        if value is None:
            return None
        value = max(value, float(schema.get("minimum", value)))
        value = min(value, float(schema.get("maximum", value)))
        return int(value) if whole else value

    def _string(self, schema: dict[str, Any], name: str, *, needed: bool) -> str | None:
        about = f"{name} {schema.get('description', '')}".lower()
        if re.search(r"\bphone|телефон|recipient", about):
            found = _NUMBER.search(self.text)
            if found:
                return found[0]
        if re.search(r"(?:^|_)ids?(?:_| |$)", name.lower() + " "):
            found = _ID.search(self.text)
            return found[1] if found else self._quote() or (self.text if needed else None)
        if re.search(r"locat|city|place|country|местополож|город|адрес", about):
            return self._place(about) or (self.text if needed else None)
        return self._quote() or (self.text if needed else None)

    def _place(self, about: str) -> str | None:
        pattern = (
            _FROM
            if re.search("start|origin|from|начальн", about)
            else _TO
            if re.search("end|dest|конечн", about)
            else _PLACE
        )
        found = pattern.search(self.text) or _PLACE.search(self.text)
        return _nominative(found[1]) if found else None

    def _quote(self) -> str | None:
        return self.quotes.pop(0) if self.quotes else None


def _nominative(place: str) -> str:
    """A Russian town back from the commonest oblique forms: в Москве, из Москвы."""
    if " " in place or not is_russian(place):
        return place
    return re.sub(r"(?<=[бвгджзклмнпрстфхцчшщ])[еы]$", "а", place)


def _dict(value: Any) -> dict[str, Any]:
    """The value where it is an object; a schema may be anything, and a wrong part of it says nothing."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(text: str) -> str:
    return " ".join(words(text))


def _stems_of(function: dict[str, Any]) -> set[str]:
    properties = _dict(_dict(function.get("parameters")).get("properties"))
    parts = [str(function.get("name", "")).replace("_", " "), str(function.get("description", ""))]
    for name, schema in properties.items():
        parts += [name.replace("_", " "), str(schema.get("description", "")) if isinstance(schema, dict) else ""]
    parts += [
        str(example.get("request", ""))
        for example in _list(function.get("few_shot_examples"))
        if isinstance(example, dict)
    ]
    return stems(" ".join(parts))


def _before(function: dict[str, Any], functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What its description wants called first: named there, or known by saying that it comes before others."""
    description = str(function.get("description", ""))
    others = [other for other in functions if other["name"] != function["name"]]
    named = [other for other in others if re.search(rf"\b{re.escape(other['name'])}\b", description)]
    if named or not _FIRST.search(description):
        return named
    return [other for other in others if _BEFORE.search(str(other.get("description", "")))][:1]
