"""All that is measured."""

from __future__ import annotations

from bench import capture, dhcp, http, iso, storm, tftp, workers
from bench.row import Row

ROWS: tuple[Row, ...] = tftp.ROWS + http.ROWS + iso.ROWS + workers.ROWS + dhcp.ROWS + storm.ROWS + capture.ROWS
