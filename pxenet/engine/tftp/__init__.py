"""TFTP transfers without sockets or clock. ``server`` is the way in; ``reads`` and ``writes`` hold the transfers."""

from __future__ import annotations

from pxenet.engine.tftp.server import TftpServer
from pxenet.engine.tftp.session import Patience
from pxenet.engine.tftp.settings import TftpSettings, TftpStatistics

__all__ = ["Patience", "TftpServer", "TftpSettings", "TftpStatistics"]
