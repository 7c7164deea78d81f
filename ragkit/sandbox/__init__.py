"""A deterministic local server that speaks the GigaChat API and the OpenAI-compatible routes.

    from ragkit.sandbox import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.gigachat_url, sandbox.credentials)

It needs no key, no network and no model. It imports nothing of ragkit outside this folder, so that it cannot share
the client's mistakes. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragkit.sandbox.faults import FAULTS
    from ragkit.sandbox.server import Sandbox, serve

__all__ = ["FAULTS", "Sandbox", "serve"]


def __getattr__(name: str) -> Any:
    if name == "FAULTS":
        from ragkit.sandbox.faults import FAULTS

        return FAULTS
    if name in __all__:
        from ragkit.sandbox import server

        return getattr(server, name)
    message = f"module 'ragkit.sandbox' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return [*__all__, "__doc__"]
