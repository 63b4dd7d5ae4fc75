"""What makes an installer report its end, or its failure: shell that goes by curl, else wget, else bash's own /dev/tcp, and what the
Debian installer has instead of these. Knows nothing of answer files.
"""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

_TAIL_BYTES = 4000
"""Of the installer's log, for a failure's report: the server keeps the beginning of what it is sent, so the end alone is sent."""


def report(url: str, body: str = "") -> list[str]:
    """Commands of which the first that works reports to ``url``; ``body``: a variable whose text is sent along."""
    target = shlex.quote(url)
    parts = urlsplit(url)
    path = parts.path or "/"
    send = f'--data-binary "${body}" ' if body else ""
    post = f'--post-data="${body}" ' if body else ""
    tries = [
        f"curl -fsS --retry 5 -o /dev/null {send}{target}",
        f"wget -q -O /dev/null {post}{target}",
    ]
    if parts.scheme == "http" and parts.hostname:
        verb = "POST" if body else "GET"
        length = f"Content-Length: ${{#{body}}}\\r\\n" if body else ""
        request = f"{verb} {path} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\n{length}\\r\\n"
        rest = f'"${body}"' if body else '""'
        inner = (
            f"exec 3<>/dev/tcp/{parts.hostname}/{parts.port or 80} && "
            f'printf "{request}%s" {rest} >&3 && grep -q " 200 " <&3'
        )
        exported = f'{body}="${body}" ' if body else ""
        tries.append(f"{exported}LC_ALL=C bash -c {shlex.quote(inner)}")
    return tries


def one_line(url: str, logs: str = "") -> str:
    """The same as one line of shell; ``logs``: files whose end is sent along."""
    if not logs:
        return " || ".join(report(url))
    return f"log=$(tail -c {_TAIL_BYTES} {logs} 2>/dev/null); {' || '.join(report(url, 'log'))}"


def busybox(url: str) -> str:
    """The same for the Debian installer, whose wget tries once; never an error, for that would wait for somebody to confirm it."""
    return f"{{ for i in 1 2 3 4 5; do wget -q -O /dev/null {shlex.quote(url)} && break; sleep 2; done; true; }}"


_DEBIAN_LOG = "/var/log/syslog"
_DEBIAN_TROUBLE = (
    "[M]enu item .* failed",  # main-menu: of any part of the installer
    "-installer[:] error: ",  # base-installer and grub-installer, before they ask somebody what to do
    "anna.*(bad [d]-i Packages|retrieval [f]ailed)",  # parts of the installer itself could not be had
    "mirror [d]oes not support",  # choose-mirror
)
"""What the Debian installer logs when it cannot go on. It then waits for somebody, and has no hook for that. In brackets, for the
installer logs the commands that it runs too: they must not find themselves."""


def busybox_failed(url: str) -> str:
    """A failure's report for the Debian installer. Its wget sends nothing along, so nc does; without nc, or by TLS, the reason alone
    is told. Never an error.
    """
    parts = urlsplit(url)
    copy = "/tmp/pxenet.log"
    reason = f"$(tail -n 1 {copy} | tr -cs A-Za-z0-9 +)"
    tries = [f'wget -q -O /dev/null "{url}?reason={reason}"']
    if parts.scheme == "http" and parts.hostname:
        head = f"POST {parts.path} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\nContent-Length: %s\\r\\n\\r\\n"
        request = f"{{ printf '{head}' $(wc -c <{copy}); cat {copy}; }}"
        tries.insert(0, f"{request} | nc {parts.hostname} {parts.port or 80} | grep -q ' 200 '")
    return f"{{ tail -c {_TAIL_BYTES} {_DEBIAN_LOG} >{copy}; {' || '.join(tries)}; true; }}"


def busybox_watch(url: str) -> str:
    """A command that ends at once and leaves behind who reports the first failure that the Debian installer logs."""
    trouble = "|".join(_DEBIAN_TROUBLE)
    # Whoever runs the command waits until nobody holds its output open.
    return (
        f"( while sleep 5; do grep -qE '{trouble}' {_DEBIAN_LOG} && {busybox_failed(url)} && break; done ) "
        "</dev/null >/dev/null 2>&1 &"
    )
