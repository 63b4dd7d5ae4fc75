"""A reader who does not read: nobody waits for it, and what is missing is told."""

from __future__ import annotations

import os
import threading

import pytest

from pxenet.server.lines import Lines


def lost(count: int) -> str:
    return f"({count} lost)"


def test_lines_arrive_in_order() -> None:
    """Everything written before ``close`` has left when it returns; what is no text is escaped."""
    reader, writer = os.pipe()
    lines = Lines(writer, lost)
    lines.write("first\n")
    lines.write("second \udc80\n")
    lines.close(5)
    os.close(writer)
    assert os.read(reader, 100) == b"first\nsecond \\udc80\n"
    os.close(reader)


def test_a_stuck_reader_holds_up_nobody() -> None:
    """The pipe is full, then the queue: lines are dropped at once, and counted where they are missing."""
    reader, writer = os.pipe()
    lines = Lines(writer, lost, capacity=4)
    line = "x" * 65_536 + "\n"  # as much as a pipe holds
    for _ in range(20):
        lines.write(line)
    received: list[bytes] = []
    drained = threading.Event()

    def read() -> None:
        while data := os.read(reader, 1 << 16):
            received.append(data)
        drained.set()

    threading.Thread(target=read, daemon=True).start()
    lines.close(5)
    os.close(writer)
    assert drained.wait(5)
    text = b"".join(received).decode()
    missing = int(text.partition("(")[2].partition(" lost)")[0])
    assert text.count("\n") - 1 + missing == 20
    assert missing >= 10
    os.close(reader)


def test_closing_does_not_wait_for_ever() -> None:
    """A server that ends leaves a stuck terminal behind."""
    reader, writer = os.pipe()
    lines = Lines(writer, lost, capacity=1)
    for _ in range(5):
        lines.write("x" * 65_536 + "\n")
    lines.close(0.05)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("number", [1, 2])
def test_a_reader_that_is_gone(number: int) -> None:
    """A closed pipe is the end of the lines, not of the server."""
    reader, writer = os.pipe()
    os.close(reader)
    lines = Lines(writer, lost)
    for _ in range(number):
        lines.write("x\n")
    lines.close(5)
    os.close(writer)
