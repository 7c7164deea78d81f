"""The fixtures that users get, used here in the same way."""

from __future__ import annotations

from ragkit.testing import _running_sandbox, ragkit_sandbox_env, sandbox

__all__ = ["_running_sandbox", "ragkit_sandbox_env", "sandbox"]
