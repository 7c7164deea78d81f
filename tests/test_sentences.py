"""Where sentences begin and end, in Russian and English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.sentences import sentences

EXAMPLES = [  # sentences are divided by ¦
    "Залог возвращается, т. е. выплачивается, в течение 10 дней. ¦См. п. 4.2 и ст. 15 договора.",
    "Офис находится на ул. им. Ленина в г. Москва. ¦Тел. 123-45-67.",
    "Пушкин А. С. родился в 1799 г. в Москве. ¦А. С. Пушкин — поэт.",
    "В 2017 г. Компания выросла. ¦Он родился в далёком северном городе в 1799 г. ¦Отец служил.",
    "Отчёт оформлен по ГОСТ 7.32-2017. ¦Цена 3.5 руб. за штуку.",
    "Есть мыло, бумага и т. д. ¦Затем мы ушли.",
    "Пришли люди и др. организации. ¦Их было 5 тыс. 300 человек. ¦25 сотрудников остались.",
    "— Привет! — сказал он. ¦— Как дела? ¦— Хорошо.",
    "«Вы идёте?» — спросил он. ¦Она молчала… ¦Да?! ¦Нет.",
    "По ГОСТ 34.201-89 «Информационная технология. Виды документов» и др. ¦Он сказал: «Да». ¦Она ушла.",
    "Mr. Smith went to Washington, e.g. by train. ¦He paid $3.50. ¦Did he? ¦Yes!",
    "The U.S. Army left at 5 p.m. ¦Then it rained. ¦See Fig. 3 and vol. 2.",
    "the firm grew. ¦a deferred asset was made. ¦it was big.",
    "1. Первый пункт. ¦Его текст.\n¦2. Второй пункт\n¦4.2. Арендатор платит\n¦- маркер",
    "Возврат залога\n¦Арендодатель возвращает залог в течение десяти рабочих дней после подписания.",
    "Строка обрывается на\nполях и продолжается на\nследующей. ¦Новая.",
    "Модель | Цена\n¦М-1 | 990 руб. | Нет\n¦М-2 | 1990 руб. | Да",
    "Заголовок\n\n¦текст с маленькой буквы",
]


@pytest.mark.parametrize("marked", EXAMPLES)
def test_examples(marked: str) -> None:
    """Abbreviations, initials, numbers, dialogue, lists, tables and lines are told from ends of sentences."""
    text = marked.replace("¦", "")
    assert [text[start:end] for start, end in sentences(text)] == [part.strip() for part in marked.split("¦")]


@given(st.one_of(st.text(), st.text(alphabet="аА.!? \n\t—«»1)(|-")))
def test_spans_hold_all_visible_text(text: str) -> None:
    """Spans are in order, apart, without white space at their ends, and nothing visible is between them."""
    reached = 0
    for start, end in sentences(text):
        assert not text[reached:start].strip()
        assert text[start:end] == text[start:end].strip() != ""
        reached = end
    assert not text[reached:].strip()


@pytest.mark.parametrize("unit", [".", "а", ".)", "\n ", "\n", ". ", "- ", '."', ". -", "a\n", " ", "1."])
def test_long_runs_are_read_once(unit: str) -> None:
    """300 000 characters of one pattern make no more sentences than units; quadratic reading would not end."""
    assert len(sentences(unit * (300_000 // len(unit)))) <= 300_000 // len(unit)
