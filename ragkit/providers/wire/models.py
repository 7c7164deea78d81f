"""What models a service offers, in the words of its list."""

from __future__ import annotations

from ragkit.messages import Model
from ragkit.providers.wire.shapes import as_object, items, needed_text, text


def models(reply: object) -> list[Model]:
    """All models, in the order of the reply."""
    return [model(item) for item in items(reply, "data", "the list of models")]


def model(reply: object) -> Model:
    """One model. `type` is kept: it is how GigaChat tells what embeds from what chats."""
    fields = as_object(reply, "the description of a model")
    return Model(needed_text(fields, "id", "a model"), text(fields, "type"), text(fields, "owned_by"))
