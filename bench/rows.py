"""All that is measured."""

from __future__ import annotations

from bench import capture, dhcp, http, storm, tftp, workers
from bench.row import Row

ROWS: tuple[Row, ...] = tftp.ROWS + http.ROWS + workers.ROWS + dhcp.ROWS + storm.ROWS + capture.ROWS
