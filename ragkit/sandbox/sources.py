"""Numbered sources and a question in a prompt, and the sentence among the sources that answers it best.

A source begins with "[1]" at the start of a line; where no line begins so, "[1]" inside a line counts.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ragkit.sandbox.words import is_russian, sentences, stems

_AT_LINE_START = re.compile(r"^[ \t>*#-]*\[(\d{1,3})\][ \t:.)—–-]*", re.MULTILINE)
_ANYWHERE = re.compile(r"\[(\d{1,3})\]")
_LABEL = re.compile(
    r"^[ \t#*]*(?:вопрос(?: пользователя)?|question|query|запрос)\**[ \t]*[:—–-]\**[ \t]*", re.I | re.MULTILINE
)
_TAGGED = re.compile(r"<(question|query|вопрос)>(.*?)</\1>", re.I | re.DOTALL)
_TAG_LINE = re.compile(r"^[ \t]*</?[\w-]+(?: [^>]*)?>[ \t]*$", re.MULTILINE)
_HEADER = re.compile(r"\.(?:pdf|docx?|txt|md|html?)\b|\bстр\.|\bp\.|\bpages?\b|[:)\]»]$", re.IGNORECASE)
_REFUSAL_WORD = re.compile(r"(?:только|only|exactly|ровно)[:\s\"«'`]+([A-Z][A-Z_]{3,})\b")
_OUTER_MARKERS = re.compile(r"^(?:\[\d{1,3}\]\s*)+|(?:\s*\[\d{1,3}\])+$")

REFUSAL_RU = "К сожалению, в источниках нет ответа на этот вопрос."
REFUSAL_EN = "I am sorry, the sources do not contain an answer to this question."


@dataclass(frozen=True, slots=True)
class Source:
    """A text that may answer, and the number it is cited by; None: it has none."""

    number: int | None
    text: str


def refusal(question: str, told: str = "") -> str:
    """What is said where the sources are silent: the word that the prompt asks for, or a polite sentence.

    Args:
        told: all that was said to the model, where such a word may be asked for: "write only NO_ANSWER".
    """
    return refusal_word(told) or (REFUSAL_RU if is_russian(question) else REFUSAL_EN)


def refusal_word(told: str) -> str:
    """The word that a prompt asks for where there is no answer; empty where it asks for none."""
    asked = _REFUSAL_WORD.search(told)
    return asked[1] if asked else ""


def find(messages: list[tuple[str, str]]) -> tuple[str, list[Source]]:
    """The question and the numbered sources of a conversation: those beside the question, else those of any message.

    Args:
        messages: (role, text), oldest first.
    """
    asked = next((at for at in reversed(range(len(messages))) if messages[at][0] == "user"), None)
    if asked is None:
        return "", []
    text = messages[asked][1]
    for pattern in (_AT_LINE_START, _ANYWHERE):
        rest, found = _split(text, pattern)
        if found:
            return _question(rest, text), found
    others = [content for role, content in messages if role in ("system", "user", "assistant")]
    return text.strip(), [source for content in others for source in _split(content, _AT_LINE_START)[1]]


def answer(question: str, candidates: list[Source]) -> str | None:
    """The sentence that shares most words with the question, with its marker; None where none shares any."""
    wanted = stems(question)
    listed = [(source, sentence, stems(sentence)) for source in candidates for sentence in _sentences(source.text)]
    seen = Counter(stem for _, _, found in listed for stem in found & wanted)
    best: tuple[tuple[float, ...], str] | None = None
    for place, (source, sentence, found) in enumerate(listed):
        shared = found & wanted
        if not shared:
            continue
        rare = sum(1 / seen[stem] for stem in shared)
        score = (len(shared), rare, -place)
        if best is None or score > best[0]:
            marker = f" [{source.number}]" if source.number is not None else ""
            best = score, _OUTER_MARKERS.sub("", sentence) + marker
    return best[1] if best else None


def numbered(text: str) -> list[Source]:
    """The numbered sources of one text."""
    for pattern in (_AT_LINE_START, _ANYWHERE):
        sources = _split(text, pattern)[1]
        if sources:
            return sources
    return []


def _split(text: str, pattern: re.Pattern[str]) -> tuple[str, list[Source]]:
    """(what stands before and after the sources, the sources)."""
    marks: list[re.Match[str]] = []
    for mark in pattern.finditer(text):  # a source may itself hold "[12]" at the start of a line
        if not marks or int(mark[1]) == int(marks[-1][1]) + 1:
            marks.append(mark)
    if not marks:
        return text, []
    label = next((found for found in _LABEL.finditer(text, marks[-1].end())), None)
    tag = next((found for found in _TAGGED.finditer(text, marks[-1].end())), None)
    end = min(found.start() for found in (label, tag) if found) if label or tag else len(text)
    after = text[end:]
    if end == len(text):  # the question may be the last paragraph
        last = text.rfind("\n\n", marks[-1].end())
        if last >= 0 and text[last:].rstrip().endswith("?"):
            end, after = last, text[last:]
    borders = [*(mark.start() for mark in marks[1:]), end]
    sources = [
        Source(int(mark[1]), _TAG_LINE.sub("", text[mark.end() : border]).strip())
        for mark, border in zip(marks, borders, strict=True)
    ]
    return f"{text[: marks[0].start()]}\n\n{after}", [source for source in sources if source.text]


def _question(rest: str, whole: str) -> str:
    """What is asked: a labelled line, else the last paragraph that ends with a question mark, else the last one."""
    tagged = list(_TAGGED.finditer(rest))
    if tagged:
        return tagged[-1][2].strip()
    labels = list(_LABEL.finditer(rest))
    if labels:
        found = re.split(r"\n\s*\n", rest[labels[-1].end() :].strip(), maxsplit=1)[0]
        if found:
            return found.strip()
    if rest == whole:
        return whole.strip()
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", _TAG_LINE.sub("", rest)) if part.strip()]
    asking = [part for part in paragraphs if "?" in part]
    return (asking or paragraphs or [whole])[-1]


def _sentences(text: str) -> list[str]:
    """The sentences of a source, without the line that only names it."""
    first, line_break, more = text.partition("\n")
    if line_break and more.strip() and not re.search(r"[.!?…]$", first.strip()) and _HEADER.search(first.strip()):
        return sentences(more)
    return sentences(text)
