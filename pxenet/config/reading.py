"""Reads a configuration: TOML text → schema → settings."""

from __future__ import annotations

from pathlib import Path

from pxenet.config.settings import Settings


def read(text: str, base: Path, file: str) -> Settings:
    """The settings of a TOML text. Raises :class:`ConfigError` with every problem found."""
    raise NotImplementedError
