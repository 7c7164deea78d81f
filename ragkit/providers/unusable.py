"""Answers that are not worth another try, though they cannot be used. Knows neither services nor HTTP."""

from __future__ import annotations

from ragkit.errors import BadResponse


class Unusable(BadResponse):
    """An answer that would be no better the second time, or too dear for one. Callers of this package see `plain`."""

    def plain(self) -> BadResponse:
        error = BadResponse(self.message, self.hint)
        error.usage = self.usage
        return error
