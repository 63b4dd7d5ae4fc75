"""TFTP transfers in captures: what was agreed on, how it ended, what was lost and what was merely not recorded, who let whom wait."""

from __future__ import annotations

import pytest
from talk import MS, TID, Talk

from pxenet.capture.boots import Gap, Missing, Outcome, PacketRef, Transfer, Waits
from pxenet.wire.tftp import Ack, Data, Error, Oack, OpCode, Request

LOST, NOT_RECORDED = Missing.LOST, Missing.NOT_RECORDED


def lock_step(talk: Talk, first: int, last: int, size: int = 512) -> Talk:
    """DATA and ACK, from block to block."""
    for number in range(first, last + 1):
        talk.block(number & 0xFFFF, size).ack(number & 0xFFFF)
    return talk


def gaps(transfer: Transfer) -> list[tuple[Missing, int, int]]:
    """What is missing."""
    return [(gap.kind, gap.first, gap.count) for gap in transfer.gaps]


def test_a_plain_read() -> None:
    """Each figure of a transfer without options."""
    talk = lock_step(Talk().rrq(), 1, 3).block(4, 100).ack(4)
    found = talk.transfer()
    assert (found.outcome, found.blocks, found.size, found.recorded_bytes) == (Outcome.COMPLETE, 4, 1636, 1636)
    assert (found.blksize, found.windowsize, found.tid) == (512, 1, TID)
    assert isinstance(found.answer, Data)
    assert found.content == b"\1" * 512 + b"\2" * 512 + b"\3" * 512 + b"\4" * 100
    assert (found.client_waits, found.server_waits) == (Waits(4, 4 * MS, MS), Waits(4, 4 * MS, MS))
    assert found.gaps == ()
    assert (found.retransmissions, found.repeated_acks, found.repeated_requests) == (0, 0, 0)
    assert found.ended == PacketRef(9, found.ref.at_ns + 8 * MS)
    assert found.lasted_ns == 8 * MS


def test_agreed_options_and_a_window() -> None:
    """Sizes are those of the OACK, and the client waits only behind a whole window."""
    talk = Talk().rrq("f", ("blksize", "1024"), ("windowsize", "4"), ("tsize", "0"))
    talk.down(Oack((("blksize", "1024"), ("windowsize", "4"), ("tsize", "5000")))).ack(0)
    for number in range(1, 5):
        talk.block(number, 1024)
    talk.wait(0.01).ack(4).block(5, 904).ack(5)
    found = talk.transfer()
    assert (found.outcome, found.blksize, found.windowsize, found.blocks, found.size) == (
        Outcome.COMPLETE, 1024, 4, 5, 5000,
    )  # fmt: skip
    assert found.client_waits == Waits(3, 13 * MS, 11 * MS)
    assert found.server_waits == Waits(3, 3 * MS, MS)


def test_a_lost_block() -> None:
    """A block that comes after later ones was lost at first; the wait for it is nobody's slowness."""
    talk = Talk().rrq("f", ("windowsize", "4")).down(Oack((("windowsize", "4"),))).ack(0)
    talk.block(1).block(3).block(4).wait(1).ack(1).block(2).block(3).block(4).block(5, 0).ack(5)
    found = talk.transfer()
    assert (found.outcome, gaps(found), found.lost) == (Outcome.COMPLETE, [(LOST, 2, 1)], 1)
    assert found.retransmissions == 2  # blocks 3 and 4 again
    assert found.size == 4 * 512
    assert found.client_waits.longest_ns < 2 * MS + 10**9


def test_a_lost_ack() -> None:
    """The block comes again, and the ACK: nothing of the file is missing."""
    talk = Talk().rrq().block(1).wait(1).block(1).ack(1).ack(1).block(2, 3).ack(2)
    found = talk.transfer()
    assert (found.outcome, found.retransmissions, found.repeated_acks, gaps(found)) == (Outcome.COMPLETE, 1, 1, [])
    assert found.stalled_ns == 10**9 + 2 * MS
    assert found.size == 515


@pytest.mark.parametrize("acked", [True, False], ids=["from an ACK on", "from a block on"])
def test_not_recorded(acked: bool) -> None:
    """Where block numbers jump and both sides go on, the recorder left blocks out: nothing was lost."""
    talk = lock_step(Talk().rrq("f", ("tsize", "0")).down(Oack((("tsize", "102500"),))).ack(0), 1, 50)
    talk.wait(3)
    if acked:
        talk.ack(150)
    lock_step(talk, 151, 200).block(201, 100).ack(201)
    found = talk.transfer()
    assert (found.outcome, found.blocks, found.lost, found.not_recorded) == (Outcome.COMPLETE, 201, 0, 100)
    assert found.gaps == (Gap(NOT_RECORDED, 51, 100, PacketRef(103, found.gaps[0].after.at_ns)),)
    assert found.retransmissions == 0
    assert max(found.client_waits.longest_ns, found.server_waits.longest_ns) <= 2 * MS
    assert (found.size, found.recorded_bytes, found.content) == (102500, 101 * 512 + 100 - 512, None)


def test_the_end_not_recorded() -> None:
    """The highest block is known, not that it was the last."""
    found = lock_step(Talk().rrq(), 1, 7).transfer()
    assert (found.outcome, found.blocks, found.size, found.content) == (Outcome.UNFINISHED, 7, None, None)


def test_block_numbers_roll_over() -> None:
    """After 65 535 comes 0; whole rounds that were not recorded show in the size that was told."""
    told = Oack((("blksize", "8"), ("tsize", str(65600 * 8))))
    talk = (
        lock_step(Talk().rrq("f", ("blksize", "8"), ("tsize", "0")).down(told).ack(0), 1, 65600, 8).block(65, 0).ack(65)
    )
    found = talk.transfer()
    assert (found.outcome, found.blocks, found.size, gaps(found)) == (Outcome.COMPLETE, 65601, 65600 * 8, [])
    told = Oack((("blksize", "8"), ("tsize", str(200_000 * 8))))
    talk = lock_step(Talk().rrq("f", ("blksize", "8"), ("tsize", "0")).down(told).ack(0), 1, 50, 8)
    lock_step(talk, 199_951, 200_000, 8).block(200_001 & 0xFFFF, 0).ack(200_001 & 0xFFFF)
    found = talk.transfer()
    assert (found.outcome, found.blocks, gaps(found)) == (Outcome.COMPLETE, 200_001, [(NOT_RECORDED, 51, 199_900)])


ENDS = {
    "unanswered": (Talk().rrq().wait(5).rrq(), Outcome.UNANSWERED, 1),
    "refused": (Talk().rrq().down(Error(1, "no such file")), Outcome.REFUSED, 0),
    "size asked": (
        Talk().rrq("f", ("tsize", "0")).down(Oack((("tsize", "5"),))).up(Error(8, "User aborted")), Outcome.ABORTED, 0
    ),
    "aborted in the middle": (Talk().rrq().block(1).ack(1).block(2).up(Error(3, "full")), Outcome.ABORTED, 0),
    "failed": (Talk().rrq().block(1).ack(1).down(Error(0, "changed")), Outcome.FAILED, 0),
    "given up": (Talk().rrq().block(1).ack(1), Outcome.UNFINISHED, 0),
    "asked twice": (Talk().rrq().wait(1).rrq().block(1, 5).ack(1), Outcome.COMPLETE, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_ends(name: str) -> None:
    """Each way in which a transfer ends has its name."""
    talk, outcome, again = ENDS[name]
    found = talk.transfer()
    assert (found.outcome, found.repeated_requests) == (outcome, again)
    assert (found.abort is not None) == (outcome is Outcome.ABORTED)
    assert (found.failure is not None) == (outcome is Outcome.FAILED)


def test_from_one_port_again_and_again() -> None:
    """PXELINUX asks from one port, and some servers answer from one: what belongs to the request before stays there."""
    talk = Talk()
    for name in ("a", "b", "a"):
        talk.rrq(name, ("tsize", "0")).down(Error(1, "no"), tid=69)
    talk.rrq("c").down(Data(1, b"x" * 512), tid=69).up(Ack(1), tid=69).down(Data(2, b""), tid=69).up(Ack(2), tid=69)
    talk.rrq("c").down(Data(1, b"y"), tid=69).up(Ack(1), tid=69)
    found = talk.boot().tftp
    assert [one.request.filename for one in found] == ["a", "b", "a", "c", "c"]
    assert [one.outcome for one in found] == [Outcome.REFUSED] * 3 + [Outcome.COMPLETE] * 2
    assert [one.content for one in found[3:]] == [b"x" * 512, b"y"]


def test_late_blocks_of_the_transfer_before() -> None:
    """They are not the new one's, when they come from the server's old port."""
    talk = Talk().rrq("a").block(1).ack(1).rrq("b").down(Data(1, b"new"), tid=TID + 1).block(2).up(Ack(1), tid=TID + 1)
    first, second = talk.boot().tftp
    assert (first.request.filename, first.blocks) == ("a", 1)
    assert (second.outcome, second.content) == (Outcome.COMPLETE, b"new")


def test_a_write() -> None:
    """The client sends, the server acknowledges."""
    talk = Talk().up(Request(OpCode.WRQ, "log", options=(("tsize", "515"),))).down(Oack((("tsize", "515"),)))
    talk.up(Data(1, b"x" * 512)).down(Ack(1)).up(Data(2, b"end")).down(Ack(2))
    found = talk.transfer()
    assert (found.outcome, found.blocks, found.size, found.content) == (Outcome.COMPLETE, 2, 515, b"x" * 512 + b"end")
    assert found.server_waits.count == 3
    assert found.client_waits.count == 2


def test_the_request_was_not_recorded() -> None:
    """Blocks of a transfer that began before the capture are nobody's."""
    talk = lock_step(Talk(), 20, 30)
    capture = talk.capture()
    assert capture.boots == ()
    assert capture.counts.other == 22


def test_a_request_that_is_none() -> None:
    """Damage is named, and the next request is read."""
    talk = Talk()
    talk.rrq("a")
    bad = talk.frames[0]
    talk.frames[0] = type(bad)(bad.at_ns, bad.data[:43] + b"\x01" + b"f" * (len(bad.data) - 44), bad.length)
    talk.rrq("b").down(Error(1, "no"))
    capture = talk.capture()
    assert [damage.packet for damage in capture.damage] == [1]
    assert [one.request.filename for one in capture.boots[0].tftp] == ["b"]
