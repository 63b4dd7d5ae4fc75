"""Boards without a boot program of ours: U-Boot reads pxelinux.cfg by itself, the Raspberry Pi's ROM its firmware files.

Sources: U-Boot ``net/bootp.c``, ``cmd/pxe.c``, ``boot/pxe_utils.c``; Raspberry Pi documentation (facts: tftp.md §6, pxe.md §7).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pxenet.sim import pxelinux, tftp
from pxenet.sim.body import Body, BootError, Stage, Steps
from pxenet.sim.dhcp import Reply, begin, hear, say
from pxenet.sim.lease import Timers, acquire
from pxenet.sim.programs import Disk, Kernel, Outcome, Reader, open_url, read_file, try_file
from pxenet.sim.voices import Voice
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.text import mac_dashes

U_BOOT_TIMERS = Timers((0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 28.0), 0.0, 1)
"""bootp.c: 250 ms, doubled each time, until about a minute has passed."""
U_BOOT_READER = Reader(tftp.U_BOOT)
BOARD = "default-arm-armv8-board"
RASPBERRY_TEXT = b"Raspberry Pi Boot"
RASPBERRY_4_TIMERS = Timers((5.0,) * 5, 0.0, 1)
RASPBERRY_TRIES, RASPBERRY_WAIT_S = 5, 5.0


def u_boot(body: Body, voice: Voice) -> Steps[Outcome]:
    """``dhcp; pxe get; pxe boot``."""
    ack = yield from acquire(body, voice, U_BOOT_TIMERS)
    body.enter(Stage.LEASE)
    server = ack.message.siaddr
    if not server:
        raise BootError("U-Boot: serverip is not set: the answer has no siaddr")
    file = ack.file or ack.text(OptionCode.BOOT_FILE)  # a file in the header overwrites 67
    directory = posixpath.dirname(file)
    prefix = f"{directory}/" if directory else ""
    body.enter(Stage.CONFIG)
    for name in _u_boot_names(body, ack):
        data = yield from try_file(body, U_BOOT_READER, server, prefix + name)
        if data is not None:
            return (yield from _u_boot_text(body, server, prefix, data.decode("utf-8", "replace")))
    raise BootError("U-Boot: Config file not found")


def _u_boot_names(body: Body, ack: Reply) -> Iterator[str]:
    told = ack.text(OptionCode.CONFIG_FILE)
    if told:
        yield told
        return
    yield f"pxelinux.cfg/01-{mac_dashes(body.mac)}"
    number = f"{body.address:08X}"
    for length in range(8, 0, -1):
        yield f"pxelinux.cfg/{number[:length]}"
    parts = BOARD.split("-")
    for length in range(len(parts), 0, -1):
        yield f"pxelinux.cfg/{'-'.join(parts[:length])}"


def _u_boot_text(body: Body, server: int, prefix: str, text: str) -> Steps[Outcome]:
    config = pxelinux.parse(text)
    label = config.labels.get(config.default) or next(iter(config.labels.values()), None)
    if label is None:
        raise BootError("U-Boot: the configuration has no label")
    if label.kind == "localboot":
        return Disk("localboot")
    body.enter(Stage.KERNEL)
    yield from _u_boot_read(body, server, prefix, label.kernel)
    for initrd in label.initrd:
        body.enter(Stage.INITRD)
        yield from _u_boot_read(body, server, prefix, initrd)
    args = label.append or ""
    if (label.sysappend or 0) & 2:
        args = f"{args} BOOTIF=01-{mac_dashes(body.mac)}"
    return Kernel(args, label.kernel, label.initrd)


def _u_boot_read(body: Body, server: int, prefix: str, name: str) -> Steps[None]:
    """A name with a slash in front is not put below the directory of the boot file; ``::`` is no mark for U-Boot."""
    if "://" in name:
        yield from open_url(body, U_BOOT_READER, name)
    else:
        yield from read_file(body, U_BOOT_READER, server, name if name.startswith("/") else prefix + name)


def raspberry(body: Body, voice: Voice) -> Steps[Outcome]:
    """The 3B's ROM: an OFFER whose option 43 names it is enough, a REQUEST never follows; then bootcode.bin and the rest."""
    offer = yield from _raspberry_offer(body, voice)
    body.address = offer.message.yiaddr
    body.enter(Stage.LEASE)
    server = _raspberry_server(offer)
    yield from tftp.read(body, tftp.RASPBERRY, server, "bootcode.bin")
    yield from tftp.exists(body, tftp.RASPBERRY, server, "bootsig.bin")
    return (yield from _raspberry_files(body, server, ("start.elf",), ("fixup.dat",)))


def raspberry_4(body: Body, voice: Voice) -> Steps[Outcome]:
    """The 4's EEPROM: ordinary DHCP, whose answer has to name it all the same; no bootcode.bin."""
    ack = yield from acquire(body, voice, RASPBERRY_4_TIMERS)
    body.enter(Stage.LEASE)
    if RASPBERRY_TEXT not in ack.raw(OptionCode.VENDOR_SPECIFIC):
        raise BootError("Raspberry Pi 4: option 43 of the answer does not say Raspberry Pi Boot")
    return (yield from _raspberry_files(body, _raspberry_server(ack), ("start4.elf", "start.elf"), ("fixup4.dat",)))


def _raspberry_server(reply: Reply) -> int:
    if not reply.message.siaddr:
        raise BootError("Raspberry Pi: the answer has no siaddr")
    return reply.message.siaddr


def _raspberry_files(body: Body, server: int, firmware: tuple[str, ...], more: tuple[str, ...]) -> Steps[Outcome]:
    """Below the serial number's directory when the firmware is there, else at the top."""
    body.enter(Stage.LOADER)
    reader = Reader(tftp.RASPBERRY)
    serial = (body.serial or body.mac[-4:].hex())[:8]
    for path in [f"{directory}{name}" for directory in (f"{serial}/", "") for name in firmware]:
        if (yield from tftp.exists(body, tftp.RASPBERRY, server, path)):
            break
    else:
        raise BootError(f"Raspberry Pi: {firmware[0]} is missing")
    prefix = path.rpartition("/")[0]
    prefix = f"{prefix}/" if prefix else ""
    yield from try_file(body, reader, server, f"{prefix}config.txt")
    yield from tftp.read(body, tftp.RASPBERRY, server, path)
    for name in more:
        yield from try_file(body, reader, server, prefix + name)
    args = (yield from try_file(body, reader, server, f"{prefix}cmdline.txt")) or b""
    body.enter(Stage.KERNEL)
    yield from tftp.read(body, tftp.RASPBERRY, server, f"{prefix}kernel8.img")
    return Kernel(args.decode("utf-8", "replace").strip(), "kernel8.img")


def _raspberry_offer(body: Body, voice: Voice) -> Steps[Reply]:
    for attempt in range(RASPBERRY_TRIES):
        body.retries += bool(attempt)
        exchange = begin(body, voice)
        say(body, exchange, MessageType.DISCOVER, voice.discover)
        until = body.now + RASPBERRY_WAIT_S
        while body.now < until:
            reply = hear(body, exchange, (yield until))
            if reply is not None and reply.type == MessageType.OFFER and reply.message.yiaddr:
                if RASPBERRY_TEXT in reply.raw(OptionCode.VENDOR_SPECIFIC):
                    return reply
                body.note("an offer without its text in option 43")
    raise BootError("Raspberry Pi: no offer whose option 43 says Raspberry Pi Boot")
