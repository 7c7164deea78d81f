"""Markdown: the text stays the file's; headings and front matter are found in it."""

from __future__ import annotations

import io

from ragkit.loaders import load
from ragkit.types import Document

MANUAL = """---
title: Руководство
author: "Иванова А. А."
date: 2024-05-05
tags: [a, b]
---
# Установка **быстрая** #

Текст. #не заголовок

```sh
# это не заголовок
```

Настройка
---------

- пункт
---
| a | b |
|---|---|

### [Ключи](https://example.invalid) и `флаги`
#хэштег
"""


def load_markdown(text: str) -> Document:
    return load(io.BytesIO(text.encode()), "a.md").document


def test_headings_stand_at_their_offsets() -> None:
    """# and underlined headings count; code fences, tables, lists and hashtags do not."""
    document = load_markdown(MANUAL)
    assert document.text == MANUAL
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "Установка быстрая"),
        (2, "Настройка"),
        (3, "Ключи и флаги"),
    ]
    lines = [document.text[heading.start :].split("\n")[0] for heading in document.headings]
    assert lines == ["# Установка **быстрая** #", "Настройка", "### [Ключи](https://example.invalid) и `флаги`"]


def test_front_matter_becomes_metadata() -> None:
    """Plain keys are taken, a list is left; the title of the front matter goes before the first heading."""
    assert load_markdown(MANUAL).metadata == {
        "title": "Руководство",
        "author": "Иванова А. А.",
        "created": "2024-05-05",
        "encoding": "utf-8",
    }


def test_the_first_heading_is_the_title_otherwise() -> None:
    """Without front matter the first heading of level 1 names the document."""
    assert load_markdown("intro\n\n## Не он\n\n# Договор\n").metadata["title"] == "Договор"
    assert "title" not in load_markdown("просто текст\n").metadata


def test_a_rule_is_no_front_matter() -> None:
    """A line of dashes that nothing closes is text."""
    assert load_markdown("---\nтекст\n").headings == ()


def test_hostile_marks_take_linear_time() -> None:
    """Long runs of marks neither hang nor crash the reader."""
    for text in ("#" * 100_000, "[" * 50_000, "# " + "*" * 50_000, "`" * 100_000, "# a" + " #" * 50_000, " " * 100_000):
        assert load(io.BytesIO((text + "\nx").encode()), "a.md").document.text.endswith("x")
