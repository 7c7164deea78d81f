"""What the sandbox answers: a pure function of the conversation."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from ragkit.sandbox.brain import Conversation, think
from ragkit.sandbox.filestore import File
from ragkit.sandbox.functions import arguments, build, choose
from ragkit.sandbox.sources import REFUSAL_EN, REFUSAL_RU

SOURCES = """[1] dogovor.pdf, стр. 3, Залог
Договор заключён на одиннадцать
месяцев. Плата вносится до пятого числа.

[2] akt.txt
Залог возвращается в течение десяти рабочих дней. Ключи отдаются сразу.
"""


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def told(*texts: str) -> str:
    """The answer where the last text is the user's and those before it are the system's."""
    system = [{"role": "system", "content": text} for text in texts[:-1]]
    return think(Conversation([*system, user(texts[-1])])).text


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (f"{SOURCES}\nВопрос: В какой срок возвращают залог?", "Залог возвращается в течение десяти рабочих дней. [2]"),
        (f"{SOURCES}\n\nНа сколько месяцев заключён договор?", "Договор заключён на одиннадцать\nмесяцев. [1]"),
        (f"Когда вносится плата?\n\nИсточники:\n\n{SOURCES}", "Плата вносится до пятого числа. [1]"),
        (f"<sources>\n{SOURCES}</sources>\n<question>Когда отдаются ключи?</question>", "Ключи отдаются сразу. [2]"),
        ("Sources: [1] Cats sleep. [2] Dogs eat meat.\nQuestion: What do dogs eat?", "Dogs eat meat. [2]"),
        ("[1] Cats sleep.\n[2] See also\n[12] Dogs of war.\n\nQuestion: whose war?", "Dogs of war. [2]"),
        (f"{SOURCES}\nВопрос: Кто победил на выборах?", REFUSAL_RU),
        (f"{SOURCES}\nQuestion: Who won?", REFUSAL_EN),
    ],
)
def test_sources(prompt: str, answer: str) -> None:
    """The question is found before or after the sources, and the sentence is given as it stands there."""
    assert told(prompt) == answer


def test_sources_in_the_system_message() -> None:
    """Sources and question may come apart."""
    assert told(f"Отвечай по источникам.\n{SOURCES}", "Когда вносится плата?") == "Плата вносится до пятого числа. [1]"


def test_the_prompt_says_how_to_refuse() -> None:
    """A word that the prompt asks for is said, and nothing else."""
    rule = "Если ответа нет, напиши только NO_ANSWER. Ставь номер источника, например [1]."
    assert told(rule, f"{SOURCES}\nВопрос: Кто победил на выборах?") == "NO_ANSWER"
    assert told(rule, f"{SOURCES}\nВопрос: Когда вносится плата?") == "Плата вносится до пятого числа. [1]"


def test_old_sources_do_not_answer() -> None:
    """The sources beside the last question count, not those of an earlier one."""
    first = user("[1] Собаки едят мясо.\n\nВопрос: Что едят собаки?")
    answered = {"role": "assistant", "content": "Собаки едят мясо. [1]"}
    second = user("[1] Кошки пьют молоко.\n\nВопрос: Что едят собаки?")
    assert think(Conversation([first, answered, second])).text == REFUSAL_RU


def function(name: str, description: str, **properties: object) -> dict[str, object]:
    return {"name": name, "description": description, "parameters": {"type": "object", "properties": properties}}


def test_the_best_function_is_called() -> None:
    """Words decide; what has been called is not called again."""
    weather = function("weather", "Погода в городе")
    distance = function("distance", "Расстояние между городами")
    assert choose("Какое расстояние от Москвы до Твери?", [weather, distance], []) == distance
    assert choose("Какое расстояние от Москвы до Твери?", [weather, distance], ["distance"]) is None


def test_functions_that_come_first() -> None:
    """One that the description names goes first, and one that says itself that it comes before others."""
    get = function(
        "get_reminder", "Получить напоминания. Вызови эту функцию перед удалением или изменением напоминаний."
    )
    delete = function("delete_reminder", "Удалить напоминания по id, вызвав сначала соответствующую функцию.")
    asked = "Удали напоминания по вечерам"
    assert choose(asked, [delete, get], []) == get
    assert choose(asked, [delete, get], ["get_reminder"]) == delete
    named = function("send", "Send a letter. Call find_address first.")
    assert choose("send a letter", [named, function("find_address", "Address book")], [])["name"] == "find_address"  # type: ignore[index]  # not None


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("properties", "required", "text", "made"),
    [
        ({"query": STRING}, ["query"], "Что в договоре?", {"query": "Что в договоре?"}),
        ({"query": STRING}, [], "Что в договоре?", {"query": "Что в договоре?"}),
        ({"title": STRING}, ["title"], "Найди фильм «Сталкер»", {"title": "Сталкер"}),
        ({"genre": STRING, "year": {"type": "integer"}}, [], "Фильмы 1979 года", {"year": 1979}),
        ({"unit": {"enum": ["celsius", "fahrenheit"]}}, ["unit"], "in fahrenheit please", {"unit": "fahrenheit"}),
        ({"unit": {"enum": ["celsius", "fahrenheit"]}}, ["unit"], "please", {"unit": "celsius"}),
        ({"k": {"type": "integer", "maximum": 5}}, ["k"], "дай десять", {"k": 5}),
        ({"all": {"type": "boolean"}, "ids": {"type": "array", "items": STRING}}, ["ids"], "id 7", {"ids": ["7"]}),
        ({"phone": STRING, "message": STRING}, ["phone"], "На 123 'Привет'", {"phone": "123", "message": "Привет"}),
        ({"start_city": STRING, "end_city": STRING}, [], "от Орла до Тулы", {"start_city": "Орла", "end_city": "Тула"}),
        ({"limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, ["limit"], "три", {"limit": 3}),
        ({"inner": {"$ref": "#/$defs/I"}}, ["inner"], "пять", {"inner": {"n": 5}}),
    ],
)  # fmt: skip
def test_arguments(properties: dict[str, object], required: list[str], text: str, made: dict[str, object]) -> None:
    """Arguments come from the question by the schema."""
    inner = {"I": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    schema = {"type": "object", "properties": properties, "required": required, "$defs": inner}
    assert build(schema, text) == made


def test_examples_are_followed() -> None:
    """A request that stands among the examples gets the arguments of its example."""
    known = {
        **function("f", "d"),
        "few_shot_examples": [{"request": "Найди все комедии.", "params": {"genre": "комедия"}}],
    }
    assert arguments(known, "найди все комедии") == {"genre": "комедия"}


def result(value: object) -> dict[str, object]:
    return {"role": "function", "name": "f", "content": json.dumps(value, ensure_ascii=False)}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (
            {"passages": [{"n": 4, "text": "Кошки пьют молоко."}, {"n": 5, "text": "Собаки едят мясо."}]},
            "Собаки едят мясо. [5]",
        ),
        ({"found": "[4] a.md\nКошки пьют молоко.\n\n[5] b.md\nСобаки едят мясо."}, "Собаки едят мясо. [5]"),
        ({"text": "Кошки пьют молоко. Собаки едят мясо."}, "Собаки едят мясо."),
        ({"passages": [{"n": 4, "text": "Кошки пьют молоко."}]}, REFUSAL_RU),
        ({"temperature": "27", "unit": "C"}, "temperature: 27, unit: C"),
    ],
)
def test_results_are_told(value: object, answer: str) -> None:
    """The best sentence of what the function returned, with its number; plain values as they are."""
    asked = [user("Что едят собаки?"), {"role": "assistant", "content": ""}, result(value)]
    assert think(Conversation(asked, "auto", [function("f", "Поиск")])).text == answer


def attached(name: str, content: bytes, kind: str = "text") -> str:
    file = File("1", name, "", kind, content, "general", "", 0)
    return think(Conversation([user("Что едят собаки?")], files=[file])).text


def test_a_file_that_does_not_say_is_refused_as_the_prompt_says() -> None:
    """By its word; asked what the file is about, and where no word is asked for, by how it begins."""
    rule = {"role": "system", "content": "Если ответа в файле нет, напиши только NO_ANSWER."}
    files = [File("1", "a.txt", "", "text", "Собаки едят мясо.".encode(), "general", "", 0)]
    for said, before, answer in (
        ("Кто победил на выборах?", [rule], "NO_ANSWER"),
        ("О чём это?", [rule], "В документе об этом не сказано. Он начинается так: «Собаки едят мясо.»"),
        ("Кто победил на выборах?", [], "В документе об этом не сказано. Он начинается так: «Собаки едят мясо.»"),
    ):
        assert think(Conversation([*before, user(said)], files=files)).text == answer


def test_files_are_read_as_far_as_it_goes() -> None:
    """Text in either encoding and docx are read, a PDF is named with its size, a picture is described."""
    assert attached("a.txt", "Собаки едят мясо.".encode("cp1251")) == "Собаки едят мясо."
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr(
            "word/document.xml", "<w:p><w:t>Кошки</w:t></w:p><w:p><w:t>Собаки </w:t><w:t>едят мясо.</w:t></w:p>"
        )
    assert attached("a.docx", packed.getvalue()) == "Собаки едят мясо."
    assert attached("a.docx", b"not a zip") == "Это файл a.docx, 9 байт; песочница его не читает."
    assert attached("a.pdf", b"%PDF-1.7") == "Это файл a.pdf, 8 байт; песочница его не читает."
    assert attached("a.bmp", b"BM" + bytes(16) + b"\x05\x00\x00\x00\x03\x00\x00\x00", "image").startswith(
        "Это изображение a.bmp: BMP 5x3"
    )
