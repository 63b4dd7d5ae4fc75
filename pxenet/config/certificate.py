"""The certificate that HTTPS is served with: read, tried, and refused in words when it cannot be used.

Knows which versions and ciphers boot clients have: TLS 1.2 is all that iPXE speaks where it was built with TLS, and many of its builds
have no other key exchange than RSA.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from pxenet.config.problems import ConfigError
from pxenet.config.settings import Settings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!AESCCM:!PSK:!SRP"
"""For TLS 1.2, the best first, which is the server's to choose; TLS 1.3 has its own list."""


_MISMATCHES = ("key values mismatch", "key type mismatch", "no certificate assigned")
"""What OpenSSL says of a key that belongs to another certificate; the last where even the algorithm is another."""


class _EncryptedKeyError(Exception):
    """OpenSSL would ask for a password."""


class PairError(Exception):
    """A certificate that cannot be served. ``name`` is the configuration's key that says so: tls_cert or tls_key."""

    def __init__(self, name: str, wrong: str, right: str) -> None:
        super().__init__(wrong)
        self.name = name
        self.wrong = wrong
        self.right = right


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The certificate of ``http.tls_cert``, ready to serve; None when there is none. Raises ConfigError when it cannot be used.

    Reads the private key: to be called before privileges are dropped.
    """
    cert, key = settings.http.tls_cert, settings.http.tls_key
    if cert is None or key is None:
        return None
    try:
        return server_context(cert, key)
    except PairError as error:
        raise ConfigError([settings.problem(f"http.{error.name}", error.wrong, error.right)]) from error


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """How to serve this certificate with this key. Raises PairError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError, _EncryptedKeyError) as error:
        raise _fault(cert, key, error) from error
    return context


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal, and a service would hang there for ever."""
    raise _EncryptedKeyError


def _fault(cert: Path, key: Path, error: Exception) -> PairError:
    """What is wrong, and with which: OpenSSL does not say which of the two files it means."""
    if isinstance(error, _EncryptedKeyError):
        right = f"take the password off: openssl pkey -in {key} -out FILE, readable by root alone"
        return PairError("tls_key", f"{key} is encrypted, and nobody is there to type its password", right)
    for name, path in (("tls_cert", cert), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as unreadable:
            return PairError(name, f"{path} cannot be read: {unreadable.strerror}", "name a PEM file that can be read")
    reason = (getattr(error, "reason", "") or "").lower().replace("_", " ")
    if not _has_certificate(cert):
        right = 'name a PEM file with "-----BEGIN CERTIFICATE-----", the server\'s own first, then those that signed it'
        return PairError("tls_cert", f"{cert} contains no certificate in PEM form", right)
    if reason in _MISMATCHES:
        right = (
            f"name the key that the certificate was made with (openssl pkey -pubout -in {key} prints its public half)"
        )
        return PairError("tls_key", f"{key} is not the key of the certificate {cert}", right)
    if "too small" in reason or "too weak" in reason:
        return PairError(
            "tls_cert", f"{cert} cannot be served: {reason}", "make one with a key of 2048 bits (RSA) or P-256"
        )
    wrong = f"{key} contains no private key in PEM form" + (f" ({reason})" if reason else "")
    return PairError("tls_key", wrong, 'name a PEM file with "-----BEGIN PRIVATE KEY-----"')


def _has_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (OSError, ValueError):
        return False
    return True
