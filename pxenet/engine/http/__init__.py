"""HTTP replies as values: a request's head and a content become the bytes of a head and the pieces of a body."""

from __future__ import annotations

from pxenet.engine.http.respond import (
    CONTINUE,
    REASONS,
    Reply,
    Request,
    Response,
    message,
    parse_target,
    respond,
    wants_close,
)

__all__ = ["CONTINUE", "REASONS", "Reply", "Request", "Response", "message", "parse_target", "respond", "wants_close"]
