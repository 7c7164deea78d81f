"""A request on its way to its endpoint, with all that the endpoint may need to answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragkit.sandbox.accounts import Account
    from ragkit.sandbox.faults import Active
    from ragkit.sandbox.state import State
    from ragkit.sandbox.wire import Request


@dataclass(slots=True)
class Call:
    """One request: what it is, whose it is, and the fault that was put on it."""

    request: Request
    state: State
    dialect: str
    route: str  # the path without its prefix: "/files/{id}/content" has its id in `argument`
    argument: str = ""
    account: Account | None = None
    fault: Active | None = None

    def has_fault(self, *names: str) -> bool:
        """Whether one of these faults was put on this request."""
        return self.fault is not None and self.fault.name in names
