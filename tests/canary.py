"""The secrets that tests work with and that must not turn up anywhere."""

from __future__ import annotations

import base64
import re

SECRET = "-".join(["8d1f", "canary", "secret"])  # in pieces, so that a copy of this file is no find
KEY = base64.b64encode(f"sweep-client:{SECRET}".encode()).decode()
TOKEN = re.compile(rb"sandbox-token-\d+-[0-9a-f]{32}")  # every token that the sandbox gives
