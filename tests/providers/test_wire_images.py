"""Pictures: requests, replies, and the tag in an answer of GigaChat."""

import base64
from typing import Any

import pytest

from ragkit.errors import BadResponse, ConfigError
from ragkit.messages import ImageOptions
from ragkit.providers.wire.images import Made, body, image_id, image_text, images, media_type

CAT = "b28fbd4f-105a-43e0-ba5a-2faa80b1f43c"
PROMPT = "Космический корабль на орбите Юпитера, реалистичный стиль"


def test_only_what_was_chosen_is_sent() -> None:
    """The rest is left to the service."""
    assert body(PROMPT, ImageOptions("dall-e-2")) == {"model": "dall-e-2", "prompt": PROMPT, "n": 1}
    chosen = ImageOptions("dall-e-3", 1, "1792x1024", "hd", "vivid", "b64_json")
    assert body(PROMPT, chosen) == {
        "model": "dall-e-3",
        "prompt": PROMPT,
        "n": 1,
        "size": "1792x1024",
        "quality": "hd",
        "style": "vivid",
        "response_format": "b64_json",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ImageOptions("dall-e-3", size="512x512"), "does not take the size '512x512'"),
        (ImageOptions("dall-e-2", size="1792x1024"), "does not take the size"),
        (ImageOptions("yandexgpt/yandex-art", size="256x256"), "does not take the size"),
        (ImageOptions("dall-e-2", quality="hd"), "does not take the quality"),
        (ImageOptions("dall-e-3", quality="best"), "does not take the quality"),
        (ImageOptions("yandexgpt/yandex-art", style="vivid"), "does not take the style"),
        (ImageOptions("dall-e-3", response_format="png"), "does not take the response_format"),
        (ImageOptions("dall-e-2", n=11), "n is 11"),
        (ImageOptions("dall-e-2", n=0), "n is 0"),
        (ImageOptions("dall-e-2", system="Ты — Кандинский"), "takes no system message"),
        (ImageOptions(), "no model is named"),
    ],
)
def test_what_a_known_model_refuses_is_not_sent(options: ImageOptions, said: str) -> None:
    """The hint says what it takes."""
    with pytest.raises(ConfigError, match=said) as error:
        body(PROMPT, options)
    assert error.value.hint


def test_a_model_that_nobody_knows_is_sent_what_was_asked() -> None:
    """New models come with sizes of their own."""
    assert body(PROMPT, ImageOptions("gpt-image-9", 20, "7x7", "auto"))["size"] == "7x7"


def test_a_prompt_says_something() -> None:
    """Blanks are no prompt."""
    with pytest.raises(ConfigError, match="the prompt is empty"):
        body(" \n", ImageOptions("dall-e-3"))


def test_a_reply_holds_addresses_or_bytes() -> None:
    """A data URL is bytes too."""
    encoded = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
    assert images(
        {
            "created": 1706745600,
            "data": [
                {"url": "https://images.example/image.png", "revised_prompt": "A detailed realistic image"},
                {"b64_json": encoded},
                {"url": f"data:image/jpeg;base64,{encoded}"},
            ],
        }
    ) == [
        Made("https://images.example/image.png", b"", "A detailed realistic image"),
        Made(data=b"\xff\xd8\xff\xe0"),
        Made(data=b"\xff\xd8\xff\xe0"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": []}, "holds no pictures"),
        ({"data": [{}]}, "neither `url` nor `b64_json`"),
        ({"data": [{"b64_json": "?"}]}, "no base64"),
        ({"data": [{"url": "data:image/png;base64,"}]}, "is empty"),
        ({"created": 1}, "has no `data`"),
        (None, "is null"),
    ],
)
def test_a_reply_without_a_picture_is_named(given: Any, said: str) -> None:
    """Nobody gets an empty file."""
    with pytest.raises(BadResponse, match=said):
        images(given)


@pytest.mark.parametrize(
    "tag",
    [
        f'<img src="{CAT}" fuse="true"/>',
        f"<img fuse='true' src='{CAT}'>",
        f'<IMG\n  alt="кот"\n  SRC = "{CAT.upper()}" />',
        f"<img data-src='no' src={CAT}>",
    ],
)
def test_the_picture_of_an_answer_is_found(tag: str) -> None:
    """Whatever the order of the attributes and the quotes around them; what was said around it is kept."""
    content = f"Запускаю генерацию изображения. Ожидайте результат {tag} - вот розовый кот, который у меня получился."
    assert image_id(content).lower() == CAT
    assert image_text(content) == (
        "Запускаю генерацию изображения. Ожидайте результат - вот розовый кот, который у меня получился."
    )


@pytest.mark.parametrize(
    "content",
    ["Не могу это нарисовать.", '<img src="https://example.com/cat.png">', f'<img src="../{CAT}">', f"src={CAT}", ""],
)
def test_an_answer_without_a_picture_is_told_in_the_models_words(content: str) -> None:
    """An address is no id of a file: nothing but a UUID becomes a part of a path."""
    with pytest.raises(BadResponse, match="drew no picture; it said: ") as error:
        image_id(content)
    assert content in error.value.message
    assert image_text(content) == content


def test_a_long_answer_of_broken_tags_is_read_in_no_time() -> None:
    """The search does not start again from each of them."""
    with pytest.raises(BadResponse):
        image_id("<img " * 200_000)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(data: bytes, kind: str) -> None:
    """Names and headers lie more often."""
    assert media_type(data) == kind
