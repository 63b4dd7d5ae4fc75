"""What the lab concludes from a recording of the wire."""

from labkit import advertise, evidence

MACHINE, SERVER = "52:54:00:77:00:01", "52:54:00:77:ff:01"


def _line(*fields: str) -> str:
    return "\t".join(fields)


# number, time, eth.src, ip.src, dhcp type, yiaddr, tftp opcode, file, uri, tcp.stream, severities, groups, texts
LINES = [
    _line("1", "10.0", MACHINE, "0.0.0.0", "1", "0.0.0.0", "", "", "", "", "", "", ""),
    _line("2", "12.5", MACHINE, "10.77.0.100", "", "", "1", "bios/pxelinux.0", "", "", "2097152", "0", "a chat, with a comma"),
    _line("3", "13.0", SERVER, "10.77.0.1", "", "", "5", "", "", "", "6291456", "50331648", "TFTP ERROR packet"),
    _line("4", "14.0", SERVER, "10.77.0.1", "", "", "", "", "", "", "4194304\x1f8388608", "0\x1f117440512", "a note\x1fMalformed"),
    _line("5", "15.0", MACHINE, "10.77.0.100", "", "", "", "", "/answer/x/ks.cfg", "", "", "", ""),
    _line("6", "16.0", SERVER, "10.77.0.1\x1f10.77.0.100", "", "", "", "", "", "", "6291456", "33554432", "something new"),
    _line("7", "17.0", MACHINE, "10.77.0.100", "", "", "", "", "", "", "8388608", "117440512", "Malformed"),
    _line("8", "18.0", SERVER, "10.77.0.1", "2", "0.0.0.0", "", "", "", "", "", "", ""),
    _line("9", "19.0", "52:54:00:00:00:02", "10.77.0.2", "2", "10.77.0.100", "", "", "", "", "", "", ""),
    _line("10", "20.0", SERVER, "10.77.0.1", "", "", "", "", "", "7", "6291456", "33554432", "D-SACK Sequence"),
]  # fmt: skip
RECORDING = evidence.Recording(evidence.parse(LINES))


def test_times_are_those_of_the_power_on() -> None:
    """What the machine did before it was switched on is not counted."""
    assert RECORDING.first_dhcp_at(MACHINE, 9.0) == 10.0
    assert RECORDING.first_dhcp_at(MACHINE, 11.0) is None
    assert RECORDING.first_read_at(MACHINE, 9.0) == 12.5
    assert RECORDING.reads(MACHINE, 12.0, 14.0) == ["bios/pxelinux.0"]


def test_the_answer_file_must_be_asked_for_by_the_machine() -> None:
    """From its own address and its own card; anybody else does not count."""
    assert RECORDING.was_read_by("/answer/x/ks.cfg", MACHINE, "10.77.0.100")
    assert not RECORDING.was_read_by("/answer/x/ks.cfg", MACHINE, "10.77.0.101")
    assert not RECORDING.was_read_by("/answer/x/ks.cfg", SERVER, "10.77.0.100")


def test_only_the_server_s_frames_are_judged() -> None:
    """Errors, and warnings that are not on the list; what machines send is theirs, and how a TCP connection goes is the kernel's."""
    assert RECORDING.faults_of("10.77.0.1") == [
        "frame 4: Malformed",
        "frame 6: something new",
    ]


def test_who_gives_addresses_away() -> None:
    """An answer without an address, as of a ProxyDHCP server, gives nothing."""
    assert RECORDING.given_by("10.77.0.1") == []
    assert RECORDING.given_by("10.77.0.2") == ["10.77.0.100"]


def test_a_router_advertisement_byte_for_byte() -> None:
    """RFC 4861 §4.2: no router, nothing managed, and our hardware address (§4.6.1)."""
    expected = bytes.fromhex("86000000 40 00 0000 00000000 00000000 01 01 52540077ff01")
    assert advertise.advertisement(bytes.fromhex("52540077ff01")) == expected
