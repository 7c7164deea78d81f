"""The text of documents before a model reads it: made harmless, and put between marks that nobody can foresee.

Words and digits stay as they are, and `citations.folding` drops what is put in or taken out, so that a quote of such
a text can be found in its document. It lowers the odds of an attack and rules none out: nothing that a model says may
be acted upon. It knows nothing of questions, numbers of sources and rules.
"""

from __future__ import annotations

import re
import secrets
import unicodedata

from ragkit.prompts.wording import NO_ANSWER

_NEWLINE = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Symbols stand in these, and joiners and variation selectors belong between them or behind them, once.
_SYMBOLS = "\u2070-\u3300\U0001f000-\U0001faff"
_JOINED = f"\u0590-\u115e\u1161-\u17b3\u17b6-\u180a\u180f-\u1fff{_SYMBOLS}\ufb1d-\ufdff\ufe0f\ufe70-\ufefe"
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"  # soft hyphen, joiners and fillers without a shape
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # zero width; marks of direction, which can turn a line round
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"  # tags, selectors: text that a model reads and nobody sees
    f"|(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"  # scripts and emoji need joiners, words do not
    f"|(?<![{_SYMBOLS}#*0-9])[\ufe0e\ufe0f]"
)
_ODD = re.compile(  # all that _UNSEEN may take out, found fast: most texts have none of it
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")

_TAGS = (
    r"context|contexts|sources?|documents?|docs?|passages?|chunks?|data|questions?|query|answer|user|human|assistant"
    r"|system|sys|developer|model|instructions?|inst|rules?|prompt|role|messages?|turn|start_of_turn|end_of_turn"
    r"|start_of_image|bos|eos|pad|unk|mask|think(?:ing)?|reasoning|tools?|tool_calls?|tool_response|tool_results?"
    r"|functions?|function_calls?|function_results?|invoke|output|results?|im_start|im_end|контекст|источник\w?"
    r"|документ\w?|данные|вопрос|система|инструкци\w"
)
_CONTROL = re.compile(
    r"[<＜](?=[|｜][^\s<>]{1,64}[>＞])"  # <|im_start|>, <|endoftext|>, <｜begin▁of▁sentence｜>
    rf"|[<＜](?=[/／]?(?:{_TAGS})(?![^\W\d_]))"  # </context>, <<SYS>>, <start_of_turn>, <data-…>
    r"|[<＜](?=/?s>)"
    r"|[\[［](?=/?(?:INST|SYS|SYSTEM|SYSTEM_PROMPT|USER|ASSISTANT|AVAILABLE_TOOLS|TOOL_CALLS?|TOOL_RESULTS?|TOOL_CONTENT"
    r"|ARGS|THINK|IMG|SEP|CLS|MASK|PAD|BOS|EOS|UNK)[\]］])"
    rf"|{NO_ANSWER[:2]}(?={NO_ANSWER[2:]})",
    re.IGNORECASE,
)
_OPENS = re.compile(rf"[<＜\[［]|{NO_ANSWER}", re.IGNORECASE)

_ROLES = (
    r"system|assistant|user|human|developer|tool|function|ai|bot|chatgpt|gpt|gigachat|llm|model|instructions?"
    r"|система|системн\w{2,3}|ассистент|помощник|пользователь|человек|разработчик|инструкци[яи]|гигачат"
    r"|syst[eè]me|sistema|usuario|benutzer|assistent|asistente|utilisateur|系统|用户|助手|النظام|المستخدم|المساعد"
)
_LABELS = (
    r"prompt|input|output|response|answer|question|query|context|role|content|rules?|sources?|documents?|passages?"
    r"|reminder|бот|модель|указани[ея]|правил[ао]|промпт|ответ|вопрос\w?|запрос|контекст|роль|источник\w?|документ\w?"
    r"|отрыв(?:ок|ки)|напоминание"
)
_HEAD = 80  # characters of a line that are read for what it pretends to be
_PRETENDS = re.compile(
    rf"[\W_]{{0,24}}?(?:(?:{_ROLES}|{_LABELS})(?:[ \t№#]{{1,3}}\w{{1,20}}){{0,2}}[\W_]{{0,8}}?:"
    rf"|(?:{_ROLES})[\W_]{{0,8}}$"  # alone on its line
    r"|\[\s?\d{1,4}\s?\])",  # the header of a source
    re.IGNORECASE,
)
_LATIN = str.maketrans("аеорсухітмнквѕАЕОРСУХІТМНКВЅ", "aeopcyxitmhkbsAEOPCYXITMHKBS")
_CYRILLIC = str.maketrans("aeopcyxkmtbhAEOPCYXKMTBH", "аеорсухкмтвнАЕОРСУХКМТВН")
_MIXED = re.compile(r"[a-zѕіј]", re.IGNORECASE)
_MARKDOWN = re.compile(r"[\s>#]*+")  # stays at the beginning of a line, where a comparison of quotes looks for it
_QUOTED = "| "  # before such a line: it is quoted then, and found all the same


def new_nonce() -> str:
    """128 bits of chance, as 32 hexadecimal digits: for one request."""
    return secrets.token_hex(16)


def marks(nonce: str) -> tuple[str, str]:
    """The lines before and after a text that is data."""
    return f"<data-{nonce}>", f"</data-{nonce}>"


def framed(text: str, nonce: str) -> str:
    """A text made harmless, between its marks."""
    opening, closing = marks(nonce)
    return f"{opening}\n{harmless(text, nonce)}\n{closing}"


def harmless(text: str, nonce: str = "") -> str:
    """The text with nothing invisible, no marks of its own, and no line that speaks for someone else.

    - What nobody sees, and what turns the direction of writing, is taken out; so is the nonce.
    - Control tokens of models get a space inside: < |im_start|>.
    - A line that begins like a turn of a conversation, a label or the header of a source gets a bar before it.
    """
    text = plain(text, nonce)
    return "\n".join(_quoted(line) if _pretends(line) else line for line in text.split("\n"))


def plain(text: str, nonce: str = "") -> str:
    """The same without heeding lines: for names and titles, which stand inside one."""
    if _ODD.search(text):
        text = _SURROGATE.sub("\ufffd", _UNSEEN.sub("", _NEWLINE.sub("\n", text)))
    if nonce:
        text = re.sub(re.escape(nonce), " ", text, flags=re.IGNORECASE)
    return _CONTROL.sub(lambda match: f"{match[0]} ", text) if _OPENS.search(text) else text


def label(text: str, longest: int, nonce: str = "") -> str:
    """A name or a title on one line, of `longest` characters at most."""
    line = " ".join(plain(text, nonce).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _pretends(line: str) -> bool:
    """Also in full-width letters, and in letters of two scripts that look like those of one."""
    head = line[:_HEAD]
    if head.isascii():
        return _PRETENDS.match(head) is not None
    head = unicodedata.normalize("NFKC", head)
    if not _MIXED.search(head):
        return _PRETENDS.match(head) is not None
    return any(_PRETENDS.match(form) for form in (head, head.translate(_LATIN), head.translate(_CYRILLIC)))


def _quoted(line: str) -> str:
    stays = _MARKDOWN.match(line)
    at = stays.end() if stays else 0
    return line if line.startswith(_QUOTED, at) else f"{line[:at]}{_QUOTED}{line[at:]}"
