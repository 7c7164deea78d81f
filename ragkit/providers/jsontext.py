"""JSON in bytes to values and back, and the reply of a service that holds it. Knows no service and no format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ragkit.errors import BadResponse, ConfigError
from ragkit.types import Usage


def encode(value: object) -> bytes:
    """UTF-8, with Russian as it is, not as escapes. Raises ConfigError for what JSON cannot say."""
    try:
        return orjson.dumps(value)
    except TypeError as error:  # a type, a number of more than 64 bits, half of a surrogate pair
        raise ConfigError(f"the request cannot be written as JSON: {error}") from None


def decode(text: bytes) -> Any:
    """Raises ValueError, whose text quotes nothing of `text`.

    NaN and Infinity are no JSON, but some services write them: they are let in here, so that a vector with NaN
    is reported as that.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
    raise ValueError(f"not JSON{place}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end. Names of `headers` are in lower case; `service` is the host that gave it.

    `wasted` is what earlier answers to the same request cost, which were of no use. `judge` raises for a body that is
    an error in the place of what was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    request_id: str = ""
    service: str = "the service"
    wasted: Usage = Usage()  # noqa: RUF009 - never changes
    judge: Callable[[Any], None] = field(default=lambda _: None, repr=False)

    def json(self) -> Any:
        """The decoded body. Raises BadResponse where it is not JSON, in words that quote nothing of the body."""
        value = self._decoded()
        self.judge(value)
        return value

    def _decoded(self) -> Any:
        try:
            return decode(self.body)
        except ValueError as error:
            kind = self.headers.get("content-type", "").partition(";")[0].strip() or "no content type"
            named = f" [request {self.request_id}]" if self.request_id else ""
            raise BadResponse(
                f"{self.service} answered {self.status} with {len(self.body)} bytes of {kind}: {error}{named}",
                "check that base_url is the address of the API, not of a web page; a proxy may have answered instead",
            ) from None
