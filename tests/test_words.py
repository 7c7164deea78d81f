"""The analyser of words: what is found by what, and what is left out."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit import words


def test_the_sound_of_a_stem_has_no_end() -> None:
    """What is inflected differs at its end: forms of a word sound alike up to there, in both scripts."""
    assert words.sounds_of("договор") == {"_dog", "dogo", "ogov", "govo", "ovor"}
    assert words.sounds_of("ox") == {"_oks"}
    assert words.sounds_of(*words.terms("Пантеры")) == words.sounds_of(*words.terms("Panter"))
    assert words.sounds_of("2017") == words.sounds_of("") == frozenset()


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Вы́ставочный центр", "выставочный"),  # a stress mark
        ("рас\u00adсказ", "рассказ"),  # a soft hyphen
        ("рас\u00ad\n  сказ", "рассказ"),  # at the end of a line
        ("сло\u200bво", "слово"),  # a zero-width space
        ("Ёлка", "елка"),
        ("перено-\nсится", "переносится"),
        ("договоров", "договор"),
        ("договорами", "договоре"),
        ("массив", "массивами"),
        ("режиму", "режимах"),
        ("отца", "отец"),
        ("ошибок", "ошибка"),
        ("running", "runs"),
        ("cрок", "срок"),  # the first letter of the written word is Latin
        ("ОКПO", "ОКПО"),  # the last one is
        ("pаypal", "paypal"),  # the second letter is Cyrillic
        ("ﬁle", "file"),  # a ligature
        ("café", "cafe"),
        ("ГОСТ 7.32-2017", "7.32-2017"),
        ("ГОСТ 7.32‑2017", "7.32-2017"),  # a hyphen that does not break
        ("см. п. 4.2.1 договора", "4.2.1"),
        ("release v2.0.1", "v2.0.1"),
        ("def parse_http_date(text):", "parse_http_date"),
        ("def parse_http_date(text):", "http"),
        ("getElementById", "element"),
        ("getElementById", "getelementbyid"),
        ("HTTPServer", "server"),
        ("HTTPServer", "http"),
        ("COVID-19", "covid"),
        ("COVID-19", "covid19"),
        ("covid19", "covid-19"),
        ("северо-западный", "западный"),
        ("северо-западный", "северозападный"),
        ("е-mail", "mail"),
        ("机器学习算法", "学习"),
        ("第1章", "1"),
    ],
)
def test_one_way_of_writing_finds_the_other(written: str, asked: str) -> None:
    """Some term of the query is a term of the text."""
    assert set(words.terms(asked)) & set(words.terms(written))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Где и когда был подписан договор?", ["подпис", "договор"]),
        ("What is the capital of Russia?", ["capit", "russia"]),
        ("", []),
        ("… — ?!", []),
        ("the who", []),
        ("US and us", ["us", "us"]),
    ],
)
def test_stop_words_are_no_terms(text: str, terms: list[str]) -> None:
    """Questions are left with what they ask about."""
    assert words.terms(text) == terms


def test_stop_words_are_kept_apart() -> None:
    """A query of nothing else can look for them."""
    assert words.fields("To be or not to be").stops.split() == ["to", "be", "or", "not", "to", "be"]


def test_grams_have_edges_and_pass_over_stop_words() -> None:
    """4-grams tell a beginning and an end from a middle; a word of one or two letters is one gram."""
    assert words.grams("Кот и слон") == ["_кот", "кот_", "_сло", "слон", "лон_"]
    assert words.grams("п") == ["_п_"]


def test_pairs_join_neighbours_across_stop_words_of_one_token() -> None:
    """Pairs are neighbouring stems, stop words among them."""
    assert words.fields("курс рубля в мае").pairs.split() == ["курс_рубл", "рубл_в", "в_ма"]


@pytest.mark.parametrize(
    ("russian", "english"),
    [
        ("Филипс", "Philips"),
        ("Москва", "Moskva"),
        ("Токио", "Tokyo"),
        ("Линукс", "Linux"),
        ("революция", "revolution"),
    ],
)
def test_a_name_sounds_alike_in_both_scripts(russian: str, english: str) -> None:
    """Half or more of the 4-grams of the sound are the same."""
    by_russian, by_english = words.fields(russian).cyrillic.split(), words.fields(english).latin.split()
    assert len(set(by_russian) & set(by_english)) >= len(set(by_russian)) / 2


def test_long_runs_become_short_terms() -> None:
    """What no one types stays within the limit of an index, and costs no more than a word."""
    found = words.fields("x" * 100_000 + " " + "ab-" * 50_000 + " " + "aB9" * 30_000)
    assert max(map(len, " ".join(found).split())) <= 2 * words.MAX_TERM + 1


def test_a_hash_is_one_term() -> None:
    """A run of letters and digits in turn is not cut into crumbs."""
    assert words.terms("a3f9b2c4d5e6f7a8b9c0") == ["a3f9b2c4d5e6f7a8b9c0"]


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    """No text breaks the analyser; terms are lower-case, without white space, and of one length in all fields."""
    found = words.fields(text)
    assert all(term == term.strip() for term in found.terms.split())
    assert words.fields(text) == found


@given(st.text(alphabet="абвгдеёжзийклмнопрстуфхцчшщъыьэюя", min_size=1, max_size=30))
def test_a_russian_word_is_a_term_or_a_stop_word(word: str) -> None:
    """Every word is found by itself: no stem is empty."""
    found = words.fields(word)
    assert found.terms.split() or found.stops.split()


def test_threads_see_the_same_words() -> None:
    """A Stemmer of one thread used in another would give wrong stems or crash."""
    text = [f"договорами{i} поставками слова{i} running{i}" for i in range(2000)]
    expected = [words.terms(line) for line in text]
    words.token_fields.cache_clear()
    results: list[list[list[str]]] = []
    threads = [threading.Thread(target=lambda: results.append([words.terms(line) for line in text])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4
