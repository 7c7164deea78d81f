"""OpenAI-compatible services that are known by name: where they are, and in what they differ from one another.

Sources: the services' own documentation and issue trackers. Every value can be overridden by a setting, so a
service that changes, or one that is not here, needs no new release.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """What one service takes. Batches are capped by texts, by bytes of JSON and by estimated tokens.

    `scheme` stands before the key in the Authorization header; empty sends the bare key. `encoding_format` is
    sent with embeddings, empty is not sent. `single_input` sends one text as a string, not as a list.
    `stream_usage` asks for usage at the end of a stream. `dimensions` may be asked for.
    """

    base_url: str = ""
    scheme: str = "Bearer"
    needs_key: bool = True
    embed_model: str = ""
    query_model: str = ""
    chat_model: str = ""
    image_model: str = ""
    batch_items: int = 64
    batch_bytes: int = 1_000_000
    batch_tokens: int = 250_000
    slots: int = 8
    encoding_format: str = "float"
    single_input: bool = False
    stream_usage: bool = True
    dimensions: bool = True


OPENAI_URL = "https://api.openai.com/v1"

PRESETS = {
    # At most 2048 inputs and 300 000 tokens a request.
    "openai": Preset(
        OPENAI_URL,
        embed_model="text-embedding-3-small",
        chat_model="gpt-4o-mini",
        image_model="dall-e-3",
        batch_items=512,
    ),
    "aipomogator": Preset(
        "https://api.aipomogator.ru/v1", embed_model="gigachat/EmbeddingsGigaR", image_model="dall-e-3", batch_items=16
    ),
    # One text a request, floats only; the ids of models hold the folder: emb://FOLDER/text-search-doc/latest.
    "yandex": Preset("https://ai.api.cloud.yandex.net/v1", scheme="Api-Key", batch_items=1),
    "vsegpt": Preset("https://api.vsegpt.ru/v1", batch_items=16),
    "gptunnel": Preset("https://gptunnel.ru/v1", scheme="", batch_items=1, single_input=True),  # the bare key
    # base64 gives empty vectors there.
    "openrouter": Preset("https://openrouter.ai/api/v1"),
    "dashscope": Preset("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", batch_items=10),
    "gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai", batch_items=100),
    # Servers of one's own. They need no key; one that is set is sent.
    "ollama": Preset("http://127.0.0.1:11434/v1", needs_key=False, batch_items=32, slots=2),
    "vllm": Preset("http://127.0.0.1:8000/v1", needs_key=False, slots=16),
    # 32 texts and 2 MB a request unless it was started otherwise.
    "tei": Preset("http://127.0.0.1:8080/v1", needs_key=False, batch_items=32, slots=16),
    # A text longer than the physical batch (512 tokens by default) is refused, see `TooLarge`.
    "llama.cpp": Preset("http://127.0.0.1:8080/v1", needs_key=False, batch_items=16, slots=2),
    "lmstudio": Preset("http://127.0.0.1:1234/v1", needs_key=False, batch_items=32, slots=2),
}
