"""All that is measured."""

from __future__ import annotations

from bench import capture, dhcp, http, tftp, workers
from bench.row import Row

ROWS: tuple[Row, ...] = tftp.ROWS + http.ROWS + workers.ROWS + dhcp.ROWS + capture.ROWS
