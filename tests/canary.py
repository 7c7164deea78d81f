"""The secrets that tests work with and that must not turn up anywhere."""

from __future__ import annotations

import base64

SECRET = "8d1f-canary-secret"
KEY = base64.b64encode(f"sweep-client:{SECRET}".encode()).decode()
TOKEN = "sandbox-token-"  # how the sandbox begins every token that it gives
