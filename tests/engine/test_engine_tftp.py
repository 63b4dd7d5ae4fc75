"""The TFTP server by script: (time, what comes in) and what goes out, in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
import tshark
from hypothesis import given
from hypothesis import strategies as st
from tftp_harness import (
    EDK2,
    EVERYONE,
    PORTS,
    SERVER,
    Client,
    Network,
    Personality,
    Weather,
    Writer,
    content,
    pattern,
    payloads,
    says,
)

from pxenet.engine.surface import NEVER, Output
from pxenet.engine.tftp import Patience, TftpServer, TftpSettings
from pxenet.engine.tftp.peers import Peers
from pxenet.engine.tftp.session import Session
from pxenet.model import Absent, Content, Missing, Verdict
from pxenet.net.datagram import Datagram, Quads, pack_peer
from pxenet.wire.tftp import Ack, Data, Error, Oack, OpCode, Options, Packet, Request, parse, serialize

PEER = pack_peer(0x0A000005, 2070)
OTHER = pack_peer(0x0A000006, 2070)
SETTINGS = TftpSettings(tid_ports=PORTS)
WRITES = TftpSettings(tid_ports=PORTS, allow_write=True, max_upload_bytes=2000, max_uploads=1)
PORT = PORTS[1]
"""What the first transfer of a server gets."""

SIX = content(b"x" * 41, "six")  # six blocks of 8
PROBE: Options = (("tsize", "0"), ("blksize", "1468"), ("windowsize", "4"))


def rrq(name: str = "six", mode: str = "octet", options: Options = (("blksize", "8"),)) -> Request:
    return Request(OpCode.RRQ, name, mode, options)


def wrq(name: str = "log", mode: str = "octet", options: Options = ()) -> Request:
    return Request(OpCode.WRQ, name, mode, options)


WINDOW = rrq(options=(("blksize", "8"), ("windowsize", "4")))
NO_OPTIONS = rrq(options=())


class Talk:
    """A server, and the contents that its wants find at once; others stay open."""

    def __init__(
        self, settings: TftpSettings = SETTINGS, contents: Mapping[str, Content | Absent] | None = None
    ) -> None:
        self.server = TftpServer(settings)
        self.contents = {"six": SIX} if contents is None else contents

    def hears(self, at: float, packet: Packet | bytes, port: int = 69, peer: bytes = PEER) -> list[str]:
        data = packet if isinstance(packet, bytes) else serialize(packet)
        return self._answered(self.server.receive([Datagram(data, peer, SERVER, port, 2)], at), at)

    def ticks(self, at: float) -> list[str]:
        return says(self.server.tick(at))

    def waits(self) -> tuple[float, list[str]]:
        """Pass the time until the clock makes the server do something; the deadline it gives may be early."""
        while (at := self.server.deadline()) < NEVER:
            lines = self.ticks(at)
            if lines:
                return at, lines
        return NEVER, []

    def _answered(self, out: Output, at: float) -> list[str]:
        lines = says(out)
        for want in out.wants:
            answer = self.contents.get(want.path)
            if answer is not None:
                lines += says(self.server.provide(want.id, answer, at))
        return lines


# Reading


def test_lock_step_without_options() -> None:
    """RFC 1350: DATA 1 answers the request, each ACK brings the next block, the short one ends it."""
    talk = Talk(contents={"f": content(b"x" * 600, "f")})
    request = rrq("f", options=())
    assert ["want f", f"{PORT}>2070 DATA 1-1", "tftp.start"] == talk.hears(0.0, request)
    assert [f"{PORT}>2070 DATA 2-2"] == talk.hears(0.1, Ack(1), PORT)
    assert ["delivered f", "tftp.done"] == talk.hears(0.2, Ack(2), PORT)
    assert NEVER == talk.server.deadline()


def test_options_and_a_window() -> None:
    """RFC 2347, 7440: the OACK first, nothing more until ACK 0, then window after window."""
    talk = Talk()
    assert ["want six", f"{PORT}>2070 OACK blksize=8 windowsize=4"] == talk.hears(0.0, WINDOW)
    assert [f"{PORT}>2070 DATA 1-4", "tftp.start"] == talk.hears(0.1, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.2, Ack(4), PORT)
    assert ["delivered six", "tftp.done"] == talk.hears(0.3, Ack(6), PORT)


@pytest.mark.parametrize(
    "options", [(), (("multicast", ""),), (("blksize", "7"),)], ids=["none", "unknown", "malformed"]
)
def test_no_option_granted_means_no_oack(options: Options) -> None:
    """RFC 2347: the first DATA answers, of 512 octets."""
    assert ["want six", f"{PORT}>2070 DATA 1-1", "tftp.start"] == Talk().hears(0.0, rrq(options=options))


def test_an_empty_file() -> None:
    """One empty block, and a size of 0."""
    talk = Talk(contents={"f": content(b"", "f")})
    assert ["want f", f"{PORT}>2070 OACK tsize=0"] == talk.hears(0.0, rrq("f", options=(("tsize", "0"),)))
    assert [f"{PORT}>2070 DATA 1-1", "tftp.start"] == talk.hears(0.1, Ack(0), PORT)
    assert ["delivered f", "tftp.done"] == talk.hears(0.2, Ack(1), PORT)


def test_netascii_is_asked_for() -> None:
    """The converted content is what the shell gives; here only the question differs."""
    assert ["want six netascii", f"{PORT}>2070 DATA 1-1", "tftp.start"] == Talk().hears(
        0, rrq(mode="netascii", options=())
    )


def test_content_that_comes_later() -> None:
    """Until the want is answered nothing is sent, and requests that are repeated meanwhile open no second one."""
    talk = Talk(contents={})
    assert ["want six"] == talk.hears(0.0, NO_OPTIONS)
    assert [] == talk.hears(1.0, NO_OPTIONS)
    assert [f"{PORT}>2070 DATA 1-1", "tftp.start"] == says(talk.server.provide(1, SIX, 1.5))
    assert [] == says(talk.server.provide(1, SIX, 1.6))


def test_content_that_never_comes() -> None:
    """A want that nobody answers is forgotten after a while, and an answer after that is ignored."""
    talk = Talk(contents={})
    talk.hears(0.0, NO_OPTIONS)
    assert [] == talk.ticks(30.0)
    assert [] == says(talk.server.provide(1, SIX, 31.0))
    assert (0, 1) == (talk.server.statistics().reading, talk.server.statistics().unanswered)


REFUSED = {
    Missing.NOT_FOUND: ("ERROR 1 file not found: f", "tftp.missing"),
    Missing.BAD_NAME: ("ERROR 1 bad file name: f", "tftp.missing"),
    Missing.DENIED: ("ERROR 2 access denied: f", "tftp.denied"),
    Missing.DAMAGED: (
        "ERROR 1 damaged where it comes from, see the server's log: f",
        "content.damaged",
    ),
    Missing.TOO_LARGE: ("ERROR 4 too large for netascii, ask for octet: f", "tftp.denied"),
    Missing.UNAVAILABLE: ("ERROR 0 not available now, try again: f", "content.unavailable"),
    Missing.FAULT: ("ERROR 1 its template has a fault, see the server's log: f", "content.fault"),
    Missing.FULL: ("ERROR 3 no room left to write: f", "tftp.denied"),
}


@pytest.mark.parametrize("missing", Missing)
def test_what_cannot_be_read(missing: Missing) -> None:
    """An ERROR at once (config searches wait for nothing else), from a transfer's port; the detail is for people alone."""
    talk = Talk(contents={"f": Absent(missing, "grub-efi-amd64-signed is not installed")})
    error, kind = REFUSED[missing]
    assert ["want f", f"{PORT}>2070 {error}", kind] == talk.hears(0.0, rrq("f"))
    assert (0, NEVER) == (talk.server.statistics().reading, talk.server.deadline())


@pytest.mark.parametrize("mode", ["mail", "binary", ""])
def test_modes_that_are_not_served(mode: str) -> None:
    """ERROR 4, with the mode that would be."""
    error = f"69>2070 ERROR 4 mode {mode!r} is not served, use octet"
    assert [error, "tftp.denied"] == Talk().hears(0.0, rrq(mode=mode))


def test_a_long_name_is_cut_in_the_error() -> None:
    """Firmware prints the text; a hundred columns of path help nobody."""
    talk = Talk(contents={"f" * 400: Absent(Missing.NOT_FOUND)})
    assert 200 == len(talk.hears(0.0, rrq("f" * 400))[1].partition("ERROR 1 ")[2])


def test_a_file_that_changed() -> None:
    """What cannot be read any more ends with ERROR 0 and an event; so does what was never begun, silently."""
    talk = Talk()
    talk.hears(0.0, NO_OPTIONS)
    out = talk.server.unreadable(1, "six ended 8 octets early", 0.1)
    assert [f"{PORT}>2070 ERROR 0 the file changed while it was being sent", "tftp.changed"] == says(out)
    assert "six ended 8 octets early" == out.events[0].detail["why"]
    assert [] == says(talk.server.unreadable(1, "again", 0.2))
    assert [] == talk.hears(0.3, Ack(1), PORT)


# Duplicates and windows


def test_duplicate_acks_in_lock_step() -> None:
    """RFC 1123 §4.2.3.1: an ACK at or below the last one brings nothing, ever."""
    talk = Talk()
    talk.hears(0.0, rrq())
    talk.hears(0.1, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 2-2"] == talk.hears(0.2, Ack(1), PORT)
    for at in (0.2, 0.21, 0.24):
        assert [] == talk.hears(at, Ack(1), PORT)
        assert [] == talk.hears(at, Ack(0), PORT)
    assert 6 == talk.server.statistics().duplicates


def test_ack_of_what_was_never_sent() -> None:
    """Ignored, below the window's end and above it, with and without an OACK before."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    assert [] == talk.hears(0.1, Ack(1), PORT) + talk.hears(0.1, Ack(65535), PORT)
    talk.hears(0.2, Ack(0), PORT)
    assert [] == talk.hears(0.3, Ack(5), PORT) + talk.hears(0.3, Ack(65535), PORT) + talk.hears(0.3, Ack(40000), PORT)


def test_gap_in_a_window() -> None:
    """RFC 7440 §4: an ACK in mid-window begins a new, full window behind it."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 3-6"] == talk.hears(0.2, Ack(2), PORT)
    assert [] == talk.hears(0.21, Ack(1), PORT)


def test_first_block_of_a_window_lost() -> None:
    """An ACK equal to the last one restarts the window once; the next time after a time-out or progress."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 1-4"] == talk.hears(0.2, Ack(0), PORT)
    assert [] == talk.hears(0.3, Ack(0), PORT) + talk.hears(0.31, Ack(0), PORT)
    deadline, lines = talk.waits()
    assert [f"{PORT}>2070 DATA 1-4"] == lines
    assert [f"{PORT}>2070 DATA 1-4"] == talk.hears(deadline + 0.2, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(deadline + 0.3, Ack(4), PORT)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(deadline + 0.5, Ack(4), PORT)


def test_echoes_are_no_reports() -> None:
    """After a restart, repeated ACKs that come sooner than a round trip speak of the copies, not of the new window."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    talk.hears(0.2, Ack(0), PORT)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.25, Ack(4), PORT)
    assert [] == talk.hears(0.26, Ack(4), PORT) + talk.hears(0.34, Ack(4), PORT)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.36, Ack(4), PORT)


# Time


def test_retransmission_follows_the_round_trip() -> None:
    """Half a second before anything is known; then by RFC 6298 from 20 ms round trips, above the floor; then doubling to the cap."""
    talk = Talk()
    talk.hears(0.0, rrq())
    assert 0.5 == talk.server.deadline()
    for block in range(5):
        talk.hears(0.02 * (block + 1), Ack(block), PORT)
    times = [0.1]
    while talk.server.statistics().reading:
        at, lines = talk.waits()
        times.append(at)
    pauses = [round(after - before, 2) for before, after in itertools.pairwise(times)]
    assert [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4] == pauses[:8]
    assert ["tftp.gave_up"] == lines
    assert 20 <= times[-1] < 30


def test_a_repetition_measures_nothing() -> None:
    """Karn: the answer to a block that was sent twice may answer either, so the time-out stays backed off until the next sample."""
    talk = Talk()
    talk.hears(0.0, rrq())
    assert [f"{PORT}>2070 OACK blksize=8"] == talk.ticks(0.5)
    talk.hears(0.501, Ack(0), PORT)
    assert [] == talk.ticks(1.45)
    assert [f"{PORT}>2070 DATA 1-1"] == talk.ticks(1.51)


def test_timeout_bounds_retransmission_from_above() -> None:
    """RFC 2349: the client's timeout is granted as it is; recovery is quicker where the network is, and never slower than it."""
    talk = Talk()
    assert ["want six", f"{PORT}>2070 OACK timeout=1"] == talk.hears(0.0, rrq(options=(("timeout", "1"),)))
    times = [talk.server.deadline()]
    while len(times) < 5:
        talk.ticks(times[-1])
        times.append(talk.server.deadline())
    assert [0.5, 1.5, 2.5, 3.5, 4.5] == times


def test_last_ack_lost() -> None:
    """RFC 1350 §6: the last block is repeated for a while, then the transfer is complete, not failed."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.01, Ack(0), PORT)
    talk.hears(0.02, Ack(4), PORT)
    said = []
    while talk.server.deadline() < NEVER:
        said += talk.ticks(at := talk.server.deadline())
    assert ["delivered six", "tftp.done"] == said[-2:]
    assert {f"{PORT}>2070 DATA 5-6"} == set(said[:-2])
    assert len(said) >= 7
    assert 5 <= at < 15


def test_nobody_there() -> None:
    """A client that never says a word is given up, and read nothing, even if the file was one block."""
    talk = Talk()
    talk.hears(0.0, NO_OPTIONS)
    said = []
    while talk.server.deadline() < NEVER:
        said += talk.ticks(at := talk.server.deadline())
    assert "tftp.gave_up" == said[-1]
    assert not any(line.startswith("delivered") for line in said)
    assert 20 <= at < 40


# Requests that come again, and ports


def test_repeated_request_gets_the_first_answer_again() -> None:
    """Before the first ACK: from the same port, with no second want."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    assert [f"{PORT}>2070 OACK blksize=8 windowsize=4"] == talk.hears(0.3, WINDOW)
    talk = Talk()
    talk.hears(0.0, NO_OPTIONS)
    assert [f"{PORT}>2070 DATA 1-1"] == talk.hears(0.3, NO_OPTIONS)
    assert (1, 1) == (talk.server.statistics().reading, talk.server.statistics().repeats)


def test_requests_from_one_port_take_ports_in_turn() -> None:
    """pxelinux: one source port for all files of a boot; late packets of one transfer cannot touch the next."""
    talk = Talk()
    used = []
    for n in range(7):
        lines = talk.hears(n, rrq())
        used.append(int(lines[1].partition(">")[0]))
        talk.hears(n + 0.1, Ack(0), used[-1])
        talk.hears(n + 0.2, Error(0, "done"), used[-1])
        assert [] == talk.hears(n + 0.3, Ack(1), used[-1])
    assert [*PORTS[1:], *PORTS[:3]] == used


def test_another_request_replaces_the_transfer() -> None:
    """It is answered from another port, the old transfer repeats nothing by the clock, and ends with the first ACK on the new one."""
    talk = Talk(contents={"six": SIX, "b": content(b"", "b")})
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert ["want b", f"{PORTS[2]}>2070 OACK tsize=0"] == talk.hears(0.2, rrq("b", options=(("tsize", "0"),)))
    assert [f"{PORTS[2]}>2070 OACK tsize=0"] == talk.ticks(0.7)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.71, Ack(4), PORT)
    assert [f"{PORTS[2]}>2070 DATA 1-1", "tftp.aborted", "tftp.start"] == talk.hears(0.8, Ack(0), PORTS[2])
    assert [] == talk.hears(0.81, Ack(6), PORT)
    assert ["delivered b", "tftp.done"] == talk.hears(0.9, Ack(1), PORTS[2])
    assert 0 == talk.server.statistics().reading


def test_next_request_says_that_the_last_block_came() -> None:
    """When all blocks had been sent and the client asks for the next file, only the last ACK was lost."""
    talk = Talk(contents={"six": SIX, "b": content(b"", "b")})
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    talk.hears(0.2, Ack(4), PORT)
    lines = talk.hears(0.3, rrq("b", options=()))
    assert ["want b", "delivered six", "tftp.done", f"{PORTS[2]}>2070 DATA 1-1", "tftp.start"] == lines


def test_late_copy_of_the_request() -> None:
    """The same request after the first ACK may be a late copy: the transfer goes on as if nothing had been, the new one fades away."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert f"{PORTS[2]}>2070 OACK blksize=8 windowsize=4" in talk.hears(0.2, WINDOW)
    talk.hears(0.21, Error(5, "unknown transfer id"), PORTS[2])
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.3, Ack(4), PORT)
    assert ["delivered six", "tftp.done"] == talk.hears(0.4, Ack(6), PORT)
    assert 0 == talk.server.statistics().reading


def test_memory_per_peer_is_bounded() -> None:
    """However many requests one client sends: two transfers at most."""
    talk = Talk()
    for n in range(50):
        lines = talk.hears(n / 100, rrq(options=(("blksize", str(8 + n)),)))
        oack = next(line for line in lines if "OACK" in line)
        talk.hears(n / 100, Ack(0), int(oack.partition(">")[0]) if n % 3 else 1)
        assert talk.server.statistics().reading <= 2


def test_memory_of_peers_that_are_gone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are known, and their late packets get no ERROR; those long gone are strangers again."""
    monkeypatch.setattr("pxenet.engine.tftp.peers.REMEMBERED", 2)
    peers = Peers(PORTS)
    gone = [pack_peer(address, 2070) for address in range(7)]
    for peer in gone:
        datagram = Datagram(b"", peer, SERVER, 69, 2)
        session = Session(1, datagram, Request(OpCode.RRQ, "f"), peers.next_port(peer), Patience(), 0.0)
        peers.admit(session)
        peers.end(session)
    assert [peers.knows(peer) for peer in gone] == [False] * 4 + [True] * 3


def test_number_of_transfers_is_bounded() -> None:
    """Beyond it requests wait until a transfer ends; when too many wait they are dropped and counted, and clients ask again."""
    talk = Talk(TftpSettings(tid_ports=PORTS, max_transfers=2, max_waiting=1))
    for n in range(2):
        assert talk.hears(0.0, rrq(), peer=pack_peer(n, 1))
    assert ["tftp.saturated"] == talk.hears(0.0, rrq())
    assert ["tftp.dropped"] == talk.hears(0.0, rrq(), peer=OTHER)
    assert (1, 1) == (talk.server.statistics().waiting, talk.server.statistics().overload)
    lines = talk.hears(0.1, Error(0), PORTS[1], peer=pack_peer(1, 1))
    assert ["tftp.aborted", "tftp.caught_up"] == [line for line in lines if line.startswith("tftp")]
    assert "want six" in lines
    assert (0, 1) == (talk.server.statistics().waiting, talk.server.statistics().waited)
    assert ["tftp.saturated"] == talk.hears(0.5, rrq(), peer=OTHER)


def test_single_port() -> None:
    """Everything from port 69, where a copy of the request in mid-transfer changes nothing and another request replaces it."""
    talk = Talk(TftpSettings(single_port=True))
    assert ["want six", "69>2070 OACK blksize=8 windowsize=4"] == talk.hears(0.0, WINDOW)
    assert ["69>2070 DATA 1-4", "tftp.start"] == talk.hears(0.1, Ack(0))
    assert [] == talk.hears(0.2, WINDOW)
    assert ["69>2070 DATA 5-6"] == talk.hears(0.3, Ack(4))
    assert ["want six", "delivered six", "tftp.done", "69>2070 OACK blksize=8"] == talk.hears(0.4, rrq())
    assert 1 == talk.server.statistics().reading


# Strays, damage, aborts


def test_stray_packet() -> None:
    """RFC 1350 §4: ERROR 5 to whoever sent it, and no harm to the transfer."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert [f"{PORT}>2070 ERROR 5 unknown transfer id"] == talk.hears(0.15, Ack(4), PORT, OTHER)
    assert [f"{PORT}>2070 ERROR 5 unknown transfer id"] == talk.hears(0.15, Data(4, b"x"), PORT, OTHER)
    assert [] == talk.hears(0.15, Error(0), PORT, OTHER)
    assert [f"{PORT}>2070 DATA 5-6"] == talk.hears(0.2, Ack(4), PORT)
    assert 3 == talk.server.statistics().strays


def test_late_packets_of_a_client_that_we_know_get_no_error() -> None:
    """It may wait for the answer to its next request on that very port, and take the ERROR for it."""
    talk = Talk()
    talk.hears(0.0, NO_OPTIONS)
    talk.hears(0.1, Ack(1), PORT)
    assert [] == talk.hears(0.2, Ack(1), PORT)


ABORTS = {
    "EDK2's size probe": (Error(8, "User aborted the transfer"), "asked for the size only (User aborted the transfer)"),
    "without a text": (Error(8), "asked for the size only (error 8)"),
    "no room": (Error(3, "too large"), "too large"),
}


@pytest.mark.parametrize(("error", "why"), ABORTS.values(), ids=ABORTS.keys())
def test_abort_in_place_of_ack_0(error: Error, why: str) -> None:
    """Normal: told quietly, forgotten at once, no start told before."""
    talk = Talk()
    assert ["want six", f"{PORT}>2070 OACK tsize=41 blksize=1468 windowsize=4"] == talk.hears(0.0, rrq(options=PROBE))
    out = talk.server.receive([Datagram(serialize(error), PEER, SERVER, PORT, 2)], 0.1)
    assert [("tftp.aborted", why)] == [(event.kind, event.detail["why"]) for event in out.events]
    assert [] == out.sends
    assert (0, NEVER) == (talk.server.statistics().reading, talk.server.deadline())


def test_abort_in_the_middle() -> None:
    """GRUB seeks by closing: ERROR 0, nothing delivered."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    talk.hears(0.1, Ack(0), PORT)
    assert ["tftp.aborted"] == talk.hears(0.2, Error(0, "closed"), PORT)
    assert [] == talk.hears(0.3, Ack(4), PORT)


def test_damaged_packets() -> None:
    """A damaged request is told so; anything else that cannot be read is counted and dropped."""
    talk = Talk()
    damaged = talk.hears(0.0, b"\0\1pxelinux.0\0octet")
    assert ["69>2070 ERROR 4 mode at byte 13: no NUL ends it"] == damaged
    assert [] == talk.hears(0.0, b"") + talk.hears(0.0, b"\0\x09") + talk.hears(0.0, b"\0\1x", PORT)
    assert 4 == talk.server.statistics().malformed


def test_packets_that_make_no_sense() -> None:
    """DATA and OACK to a read, requests to a transfer's port: counted, and the transfer goes on."""
    talk = Talk()
    talk.hears(0.0, WINDOW)
    assert [] == talk.hears(0.1, Data(1, b"x"), PORT) + talk.hears(0.1, Oack(), PORT) + talk.hears(0.1, rrq(), PORT)
    assert 3 == talk.server.statistics().unexpected
    assert [f"{PORT}>2070 DATA 1-4", "tftp.start"] == talk.hears(0.2, Ack(0), PORT)


def test_broadcast_requests_are_ignored() -> None:
    """RFC 1123 §4.2.3.4."""
    server = TftpServer(SETTINGS)
    assert [] == says(server.receive([Datagram(serialize(rrq()), PEER, SERVER, 69, 2, broadcast=True)], 0.0))


def test_replies_leave_as_requests_came() -> None:
    """By the same interface, from the address that was asked: iPXE, EDK2 and GRUB filter on it."""
    talk = Talk()
    out = talk.server.receive([Datagram(serialize(WINDOW), PEER, SERVER + 7, 69, 5)], 0.0)
    assert [(PEER, SERVER + 7)] == [(want.peer, want.local) for want in out.wants]
    sends = talk.server.provide(1, SIX, 0.0).sends
    sends += talk.server.receive([Datagram(serialize(Ack(0)), PEER, SERVER + 7, PORT, 5)], 0.1).sends
    assert [(PEER, SERVER + 7, PORT, 5)] * 2 == [(s.to, s.source, s.port, s.interface) for s in sends]


# Writing


def test_writing_is_off() -> None:
    """Unless configured."""
    assert ["69>2070 ERROR 4 writing is switched off on this server", "tftp.denied"] == Talk().hears(0.0, wrq())


def test_a_write() -> None:
    """ACK 0, then an ACK a block; the last one only after the file is stored; repeated on demand."""
    talk = Talk(WRITES)
    assert [f"{PORT}>2070 ACK 0"] == talk.hears(0.0, wrq())
    assert [f"{PORT}>2070 ACK 0"] == talk.hears(0.1, wrq())
    assert [f"{PORT}>2070 ACK 1"] == talk.hears(0.2, Data(1, bytes(512)), PORT)
    assert ["upload log 514"] == talk.hears(0.3, Data(2, b"ab"), PORT)
    assert [] == talk.hears(0.4, Data(2, b"ab"), PORT)
    assert [f"{PORT}>2070 ACK 2", "tftp.written"] == says(talk.server.uploaded(1, None, 0.5))
    assert [f"{PORT}>2070 ACK 2"] == talk.hears(0.6, Data(2, b"ab"), PORT)
    assert [] == talk.ticks(10.0)
    assert (0, NEVER) == (talk.server.statistics().writing, talk.server.deadline())


def test_a_write_with_options() -> None:
    """The OACK takes the place of ACK 0 (RFC 2347), an ACK a window (RFC 7440), a gap is told once."""
    talk = Talk(WRITES)
    request = wrq(options=(("tsize", "30"), ("blksize", "8"), ("windowsize", "3")))
    assert [f"{PORT}>2070 OACK tsize=30 blksize=8 windowsize=3"] == talk.hears(0.0, request)
    assert [] == talk.hears(0.1, Data(1, bytes(8)), PORT)
    assert [f"{PORT}>2070 ACK 1"] == talk.hears(0.1, Data(3, bytes(8)), PORT)
    assert [] == talk.hears(0.1, Data(4, bytes(6)), PORT)
    assert [] == talk.hears(0.2, Data(2, bytes(8)), PORT) + talk.hears(0.2, Data(3, bytes(8)), PORT)
    assert ["upload log 30"] == talk.hears(0.2, Data(4, bytes(6)), PORT)


def test_a_write_in_netascii() -> None:
    """CR LF is a line end, CR NUL a CR, also across blocks."""
    talk = Talk(WRITES)
    talk.hears(0.0, wrq(mode="netascii", options=(("blksize", "8"),)))
    talk.hears(0.1, Data(1, b"line 1.\r"), PORT)
    out = talk.server.receive([Datagram(serialize(Data(2, b"\na\r\0b")), PEER, SERVER, PORT, 2)], 0.2)
    assert [b"line 1.\na\rb"] == [upload.data for upload in out.uploads]


def test_a_write_that_is_announced_too_large() -> None:
    """By tsize: refused before anything is sent."""
    error = f"{PORT}>2070 ERROR 3 2001 bytes, at most 2000 are taken"
    assert [error, "tftp.denied"] == Talk(WRITES).hears(0.0, wrq(options=(("tsize", "2001"),)))


def test_writes_at_once_are_bounded() -> None:
    """They are held in memory; the next one is dropped and counted."""
    talk = Talk(WRITES)
    assert [f"{PORT}>2070 ACK 0"] == talk.hears(0.0, wrq())
    assert [] == talk.hears(0.0, wrq(), peer=OTHER)
    assert 1 == talk.server.statistics().overload


def test_a_writer_that_vanishes() -> None:
    """The newest ACK is repeated, then it is given up, even if it chatters about old blocks."""
    talk = Talk(WRITES)
    talk.hears(0.0, wrq())
    talk.hears(0.1, Data(1, bytes(512)), PORT)
    said = []
    while (at := talk.server.deadline()) < NEVER:
        said += talk.ticks(at)
        if talk.server.statistics().writing:
            assert [f"{PORT}>2070 ACK 1"] == talk.hears(at + 0.01, Data(1, bytes(512)), PORT)
    assert "tftp.gave_up" == said[-1]
    assert {f"{PORT}>2070 ACK 1"} == set(said[:-1])


def test_an_upload_that_nobody_stores() -> None:
    """An ERROR, rather than an ACK that would be a lie."""
    talk = Talk(WRITES)
    talk.hears(0.0, wrq())
    talk.hears(0.1, Data(1, b"x"), PORT)
    assert [f"{PORT}>2070 ERROR 0 the file could not be stored in time"] == talk.ticks(31.0)
    assert [] == says(talk.server.uploaded(1, None, 32.0))


def test_commits_are_none_of_its_business() -> None:
    """The surface has them; TFTP asks for none."""
    assert [] == says(TftpServer(SETTINGS).committed(1, Verdict.DURABLE, 0.0))


# Settings

BAD_SETTINGS = {
    "no ports": {},
    "three ports": {"tid_ports": PORTS[:3]},
    "the same ports": {"tid_ports": (1, 1, 1, 1)},
    "blksize too small": {"tid_ports": PORTS, "max_blksize": 7},
    "blksize too large": {"tid_ports": PORTS, "max_blksize": 65465},
    "no window": {"tid_ports": PORTS, "max_windowsize": 0},
    "ambiguous window": {"tid_ports": PORTS, "max_windowsize": 257},
}


@pytest.mark.parametrize("values", BAD_SETTINGS.values(), ids=BAD_SETTINGS.keys())
def test_settings_that_cannot_work(values: dict[str, object]) -> None:
    """Said at once."""
    with pytest.raises(ValueError, match=r"is not from|needs 4"):
        TftpSettings(**values)  # type: ignore[arg-type]


# Properties


def quick(data: bytes, peer: bytes, port: int) -> Sequence[Datagram]:
    """A batch as the fast sockets give it."""
    if len(data) != 4:
        return [Datagram(data, peer, SERVER, port, 2)]
    return Quads([peer], [int.from_bytes(data, "big")], SERVER, port, 2, False)


packets = st.one_of(
    st.sampled_from([WINDOW, NO_OPTIONS, rrq(), rrq("b"), wrq(), wrq(options=(("windowsize", "2"),))]).map(serialize),
    st.integers(0, 12).map(lambda n: serialize(Ack(n))),
    st.integers(0, 0xFFFF).map(lambda n: serialize(Ack(n))),
    st.builds(lambda n, size: serialize(Data(n, bytes(size))), st.integers(0, 5), st.sampled_from([0, 8, 512])),
    st.sampled_from([Error(0, "x"), Oack((("tsize", "1"),))]).map(serialize),
    st.binary(max_size=8),
)
arrivals = st.lists(
    st.tuples(packets, st.sampled_from([69, *PORTS]), st.sampled_from([PEER, OTHER]), st.floats(0, 3)), max_size=40
)


@given(arrivals, st.booleans(), st.sampled_from([0, 1, 41, 48, 2000]))
def test_any_packets(script: list[tuple[bytes, int, bytes, float]], single_port: bool, size: int) -> None:
    """Whatever comes, to whatever port: nothing is raised, the fast path equals the plain one, memory stays bounded, and all ends."""
    settings = TftpSettings(tid_ports=PORTS, single_port=single_port, allow_write=True, max_upload_bytes=1000)
    fast, plain = TftpServer(settings), TftpServer(settings)
    now = 0.0
    for data, port, peer, pause in script:
        now += pause
        results = []
        for server, batch in ((fast, quick(data, peer, port)), (plain, [Datagram(data, peer, SERVER, port, 2)])):
            said = says(server.tick(now)) if server.deadline() <= now else []
            out = server.receive(batch, now)
            said += says(out)
            for want in out.wants:
                said += says(server.provide(want.id, content(bytes(size)), now))
            results.append(said)
        assert results[0] == results[1]
        assert fast.statistics() == plain.statistics()
        assert fast.statistics().reading + fast.statistics().writing <= 4
    for _ in range(500):
        if fast.deadline() == NEVER:
            break
        now = max(now, fast.deadline())
        fast.tick(now)
    assert (0, 0) == (fast.statistics().reading, fast.statistics().writing)


@tshark.installed
def test_tshark_reads_all_that_we_send() -> None:
    """Over whole transfers of all kinds, on a bad network: nothing malformed, no error-level note, no warning but for ERRORs."""
    sent: list[bytes] = []
    settings = TftpSettings(tid_ports=PORTS, allow_write=True, max_upload_bytes=20_000)
    contents = {"file": content(pattern(20_000)), "denied": Absent(Missing.DENIED, "")}
    for n, personality in enumerate(EVERYONE):
        network = Network(contents, Weather(0.05, 0.05), n, settings, tap=sent.append)
        for m, name in enumerate(("file", "missing", "denied")):
            network.add(Client(personality, name, pack_peer(0x0A000005, 2000 + m)))
        network.add(Writer(personality, "log", pack_peer(0x0A000005, 3000), pattern(10_000)))
        network.add(Writer(Personality("large"), "log", pack_peer(0x0A000005, 3001), pattern(30_000)))
        network.run()
    stray = Talk().server.receive([Datagram(serialize(Ack(1)), PEER, SERVER, PORT, 2)], 0.0)
    sent += [payload for send in stray.sends for payload in payloads(send)]
    opinions = tshark.decode((69, 2070, payload) for payload in sent)
    assert not any(opinion.malformed for opinion in opinions)
    for payload, opinion in zip(sent, opinions, strict=True):
        packet = parse(payload)
        allowed = {"TFTP ERROR packet"} if isinstance(packet, Error) else set()
        # Inside a DATA with a payload the innermost protocol is that payload's: plain data.
        assert opinion.protocol == ("data" if isinstance(packet, Data) and packet.payload else "tftp")
        assert [] == opinion.notes_of("error")
        assert set(opinion.notes_of("warn")) <= allowed


def test_patience_is_a_setting() -> None:
    """For simulations, and for lines slower than Ethernet."""
    talk = Talk(TftpSettings(tid_ports=PORTS, patience=Patience(first_s=2.0)))
    talk.hears(0.0, rrq())
    assert 2.0 == talk.server.deadline()
    assert EDK2.retry_s > 2.0
