"""How far the contents being sent by HTTP have come."""

from __future__ import annotations

from pathlib import Path

import trio.testing
from httplab import BIG, LOOPBACK, get, make_site, read_reply, serving


async def test_progress(tmp_path: Path) -> None:
    """Counts from the beginning of this reply; nothing is told of connections that wait."""
    async with serving(make_site(tmp_path), drain=False) as running, await running.connect() as stream:
        await stream.send_all(get("/a%20b.txt"))
        await read_reply(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert [] == running.server.progress(10)
        await stream.send_all(get("/big"))
        await stream.receive_some(1)
        await trio.testing.wait_all_tasks_blocked(0.05)
        (progress,) = running.server.progress(10)
        assert (LOOPBACK, "big", len(BIG)) == (progress.address, progress.path, progress.size)
        assert 0 < progress.done_bytes < len(BIG)
        assert [] == running.server.progress(0)
