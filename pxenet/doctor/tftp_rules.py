"""Rules about files that firmware reads by TFTP: the table ``RULES``. Facts: tftp.md §2 and §5; each client's source is named there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pxenet.boot.images import unfit
from pxenet.doctor.findings import Level, Rule, Seen
from pxenet.doctor.machines import MACHINES
from pxenet.doctor.observed import Observed, TftpAnswer, TftpRead, TftpTry
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text
from pxenet.wire.tftp import ErrorCode, option_number

FRAME_BLOCK = 1468
"""The largest block in one Ethernet frame: 1500 less the headers of IP, UDP and TFTP."""


def is_large(attempt: TftpTry) -> bool:
    """Blocks that need fragments were granted."""
    return attempt.answer is TftpAnswer.OACK and attempt.blksize > FRAME_BLOCK


def _where(read: TftpRead) -> str:
    return f"{read.name} at {address_text(read.server)}"


def _evidence(read: TftpRead) -> str:
    asked = " ".join(f"{name}={value}" for name, value in read.first.asked) or "no options"
    granted = " ".join(f"{name}={value}" for name, value in read.first.granted)
    said = f", {granted} granted" if granted else ""
    return f"asked as {', '.join(read.by)} ({asked}): {read.first.answer.value}{said}"


def _check(words: str, wrong: Callable[[TftpRead], str | None]) -> Callable[[Observed], Iterator[Seen]]:
    """A check of every file; ``wrong`` says what goes into the words' braces, None: nothing is wrong."""

    def check(observed: Observed) -> Iterator[Seen]:
        for read in observed.tftp:
            what = wrong(read)
            if what is not None:
                yield Seen(words.format(what, where=_where(read)), (_evidence(read),))

    return check


def _nobody(kind: TftpAnswer, words: str) -> Callable[[Observed], Iterator[Seen]]:
    """One finding for each server, whatever is looked for there."""

    def check(observed: Observed) -> Iterator[Seen]:
        those = [read for read in observed.tftp if read.first.answer is kind]
        for server in dict.fromkeys(read.server for read in those):
            here = [read for read in those if read.server == server]
            names = ", ".join(dict.fromkeys(read.name for read in here))
            yield Seen(words.format(server=address_text(server), names=names), tuple(map(_evidence, here)))

    return check


def _refuses(observed: Observed) -> Iterator[Seen]:
    stands_in = observed.station.mac != observed.station.card
    for read in observed.tftp:
        first = read.first
        if first.answer is not TftpAnswer.ERROR:
            continue
        evidence = (_evidence(read), f"error {first.code}: {first.text}")
        if first.code == ErrorCode.FILE_NOT_FOUND:
            right = (
                "put the file into the server's directory, spelled alike (upper and lower case count), or name another"
            )
            yield Seen(f"{_where(read)} is not there", evidence, right)
        elif first.code == ErrorCode.ACCESS_VIOLATION and stands_in:
            right = "that is as it should be where the server keeps files for the machine that they are for"
            yield Seen(f"{_where(read)} is kept from this host, which is not that machine", evidence, right, Level.NOTE)
        else:
            yield Seen(f"{_where(read)} is refused: error {first.code}, {first.text!r}", evidence)


def _own(observed: Observed) -> Iterator[Seen]:
    for server in dict.fromkeys(read.server for read in observed.tftp if read.server in observed.station.ours):
        yield Seen(
            f"{address_text(server)} is this host itself: what the wire between it and the machines loses is not seen from here"
        )


def _other_address(read: TftpRead) -> str | None:
    first = read.first
    other = first.address not in (0, read.server)
    return address_text(first.address) if other else None


def _no_options(read: TftpRead) -> str | None:
    asked = {name for name, _ in read.first.asked}
    return "" if read.first.answer is TftpAnswer.DATA and "tsize" in asked else None


def _no_size(read: TftpRead) -> str | None:
    probes = any(MACHINES[name].firmware == "edk2-pxe" for name in read.by)
    lacks = read.first.answer is TftpAnswer.OACK and read.first.option("tsize") is None
    return "" if probes and lacks else None


def _unasked(read: TftpRead) -> str | None:
    asked = {name: option_number(value) for name, value in read.first.asked}
    for name, value in read.first.granted:
        wanted, got = asked.get(name.lower()), option_number(value)
        if name.lower() not in asked:
            return f"{name}={value}, which was not asked for"
        if name.lower() in ("blksize", "windowsize") and wanted is not None and (got is None or got > wanted):
            return f"{name}={value}, more than the {wanted} asked for"
        if not name.islower():
            return f"{name} in other letters than it was asked for"
    return None


def _lost_blocks(observed: Observed) -> Iterator[Seen]:
    for read in observed.tftp:
        first = read.first
        if first.answer is not TftpAnswer.OACK or first.arrives:
            continue
        good = max((size for size, arrives in read.sizes if arrives), default=0)
        bad = ", ".join(str(size) for size in sorted({first.blksize, *(size for size, ok in read.sizes if not ok)}))
        evidence = (_evidence(read), f"blocks of {bad} bytes did not arrive")
        if good:
            right = (
                f"let the server grant {good} at most (pxenet: tftp.max_blksize; tftpd-hpa: --blocksize; dnsmasq: "
                f"--tftp-mtu={good + 32}), or mend the way: somewhere no more than {good + 32} bytes fit into a packet"
            )
            words = f"large TFTP blocks from {address_text(read.server)} are lost: {first.blksize} bytes do not arrive, {good} do"
            yield Seen(words, evidence, right)
        else:
            yield Seen(
                f"{address_text(read.server)} grants the transfer of {read.name}, and no block arrives",
                evidence,
                "let TFTP's data pass: it comes from another UDP port than 69, which firewalls have to be told (or set "
                "tftp.single_port in pxenet, --tftp-single-port in dnsmasq)",
            )


def _fragments(read: TftpRead) -> str | None:
    large = read.large
    return str(large.blksize) if large is not None and is_large(large) and not large.arrives else None


def _window(read: TftpRead) -> str | None:
    first = read.first
    granted = first.option("windowsize") or 1
    if first.answer is not TftpAnswer.OACK or granted < 2 or not first.arrives or first.last:
        return None
    return f"{first.first_window} of {granted}" if first.first_window < granted else None


def _image(observed: Observed) -> Iterator[Seen]:
    """What the file is, by its first bytes, for each kind of firmware that would start it."""
    for read in observed.tftp:
        whole_head = read.first.last or len(read.first.head) >= 512
        if not read.first.arrives or not whole_head:
            continue
        told: dict[str, list[str]] = {}
        for name in read.by:
            machine = MACHINES[name]
            ipxe = OptionCode.USER_CLASS in dict(machine.voice.discover)
            if machine.firmware not in ("edk2-pxe", "ipxe") or (ipxe and read.first.head.startswith(b"#!")):
                continue
            if why := unfit(read.name, read.first.head, machine.arch):
                told.setdefault(why, []).append(name)
        for why, names in told.items():
            yield Seen(why, (f"{', '.join(names)} would start it; its first bytes are {read.first.head[:8].hex(' ')}",))


RULES = (
    Rule(
        "tftp.refused", Level.ERROR, "start the TFTP server there; is next server (siaddr) the right host?",
        _nobody(TftpAnswer.REFUSED, "{server} serves no TFTP (port 69 is closed), and is to give {names}"),
    ),
    Rule(
        "tftp.silent", Level.ERROR,
        "see that the TFTP server runs, that UDP 69 and the ports it answers from pass the firewalls on the way and here, and that "
        "next server (siaddr) is the right host",
        _nobody(TftpAnswer.SILENCE, "{server} does not answer by TFTP, and is to give {names}"),
    ),
    Rule("tftp.error", Level.ERROR, "see the server's log; is the file readable for its user?", _refuses),
    Rule(
        "tftp.other-address", Level.ERROR,
        "let the server answer from the address that it was asked at: iPXE, EDK2 and GRUB drop what comes from another",
        _check("a request for {where} is answered from {}", _other_address),
    ),
    Rule("tftp.blocks-lost", Level.ERROR, "", _lost_blocks),
    Rule(
        "tftp.no-options", Level.ERROR, "use a TFTP server that knows options (RFC 2347): EDK2 asks for the size, GRUB wants an OACK",
        _check("{where} comes without options: EDK2 and GRUB give up{}", _no_options),
    ),
    Rule(
        "tftp.no-size", Level.ERROR, "let the server tell tsize (RFC 2349)",
        _check("the size of {where} is not told, and EDK2 gives up{}", _no_size),
    ),
    Rule(
        "tftp.unasked", Level.ERROR, "grant what was asked for, or less, spelled alike: EDK2, PXELINUX and U-Boot break off",
        _check("for {where} the server grants {}", _unasked),
    ),
    Rule("tftp.image", Level.ERROR, "choose the file by the client's architecture (option 93)", _image),
    Rule(
        "tftp.window", Level.WARNING, "set windowsize to 1 at the server, or look for a switch or card that loses bursts",
        _check("of the first window of {where} {} blocks arrived", _window),
    ),
    Rule(
        "tftp.fragments", Level.NOTE, "keep the server's largest block at 1468 or below: those need no fragments",
        _check("blocks of {} bytes ({where}) do not arrive: fragments are lost on the way", _fragments),
    ),
    Rule("tftp.own-host", Level.NOTE, "ask from another host on that wire, too", _own),
)  # fmt: skip
"""In the order in which they are told within a level."""
