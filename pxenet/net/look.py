"""Looks at single files behind an URL, waiting for each answer: for those who prepare a server, never for the server itself.

Knows HTTP and HTTPS with redirects, as the standard library speaks them. Must not know what is looked for.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import quote

PATIENCE_S = 10.0
LIMIT_BYTES = 4 << 20
"""Files that describe a tree are smaller."""


class LookError(Exception):
    """The server cannot be asked; the message says why, in words that follow its URL."""


class Look:
    """Files below ``base``. Both methods raise LookError when there is no answer at all."""

    def __init__(self, base: str, patience_s: float = PATIENCE_S) -> None:
        self._base = base.rstrip("/")
        self._patience_s = patience_s

    def fetch(self, path: str) -> bytes | None:
        """The beginning of a file; None when the server does not give it."""
        return self._ask("GET", path)

    def ask(self, path: str) -> bool:
        """A file is there. A name that ends with a slash asks for a directory; "forbidden" means that there is one."""
        found = self._ask("HEAD", path)
        return found is not None

    def _ask(self, method: str, path: str) -> bytes | None:
        url = f"{self._base}/{quote(path.lstrip('/'))}"
        request = urllib.request.Request(url, method=method, headers={"User-Agent": "pxenet"})
        try:
            with urllib.request.urlopen(request, timeout=self._patience_s) as reply:
                if not path.endswith("/") and reply.geturl().endswith("/"):
                    return None  # a directory
                data = reply.read(LIMIT_BYTES) if method == "GET" else b""
                return bytes(data)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= 500:
                raise LookError(f"answers {error.code} to {path or '/'}") from error
            return b"" if error.code == 403 and path.endswith("/") else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise LookError(f"cannot be reached: {reason}") from error
