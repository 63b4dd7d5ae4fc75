"""Rules about what each firmware makes of the answers: the table ``RULES``. Facts: pxe.md §3 to §6; dhcp.md §6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pxenet.doctor.findings import Level, Rule, Seen
from pxenet.doctor.observed import Asked, BootServer, Observed
from pxenet.doctor.servers import Answer, answers, server_of
from pxenet.sim.programs import kind_of
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text

_SILENT_4011 = "port 4011"

_NAME_A_FILE = "name a boot file for this architecture ({arch})"
_KNOWN_ONLY = "where only known machines are booted, ask as one of them by --mac"

# What a firmware says when it stops → what would be right. The first that fits.
REMEDIES = (
    ("PXE-E53", f"{_NAME_A_FILE}: option 67 and the header's file, with the next server; {_KNOWN_ONLY}"),
    ("Nothing to boot", f"{_NAME_A_FILE}, with the next server (siaddr); {_KNOWN_ONLY}"),
    (
        "no offer of class HTTPClient",
        "to boot by HTTP: answer class HTTPClient with option 60 = HTTPClient and an URL in option 67; else nothing",
    ),
    ("is no URL", "give HTTPClient an URL in option 67"),
    ("no name server was given", "give a DNS server (option 6), or an address instead of the name in the URL"),
    ("siaddr", "set the next server (siaddr): it is the only server address that this firmware reads"),
    ("by TFTP, as a name", "give URLs to HTTPClient and to iPXE only; PXE firmware wants the name of a file"),
    ("waits for somebody", "let the menu end by itself (option 43.10), or send no menu: option 43 = 06 01 08"),
    ("first menu item is the local boot", "send no menu, or another first item: option 43 = 06 01 08 loads the file directly"),
    ("boot server of type", "list the menu's server in option 43.8, or send no menu: option 43 = 06 01 08"),
    ("spoils the others", "let the ProxyDHCP server put the class PXEClient (option 60) into its offers, or switch it off"),
    ("no boot server answers", "start the boot server of the menu, or send no menu: option 43 = 06 01 08"),
    ("Raspberry Pi Boot", 'put the text "Raspberry Pi Boot" into option 43 for Raspberry Pis'),
    ("Config file not found", "put a configuration below pxelinux.cfg/, as for PXELINUX: default, or one for each machine"),
    (" is missing", "put the Raspberry Pi's firmware (start4.elf and the others) into the TFTP server's directory"),
    ("subnet mask", "send the subnet mask (option 1)"),
)  # fmt: skip
_ARCH_NAMES = {"bios": "x86 BIOS", "x64": "x64 UEFI", "ia32": "IA32 UEFI", "aa64": "ARM64 UEFI"}


def boots(asked: Asked) -> bool:
    """It has found something to load."""
    return bool(asked.choice.url)


def _stopped(observed: Observed) -> list[Asked]:
    """Those that were answered and still stop, for a reason that no rule beside this tells."""
    unheard = {one.by for one in observed.boot_servers if not one.heard}
    return [
        asked
        for asked in observed.asked
        if asked.heard
        and asked.choice.stops
        and asked.personality.name not in unheard
        and _SILENT_4011 not in asked.choice.stops
    ]


def remedy_of(asked: Asked) -> str:
    """What would let it go on; empty when nobody knows."""
    stops = asked.choice.stops
    arch = _ARCH_NAMES.get(asked.personality.arch, asked.personality.arch)
    return next((right.format(arch=arch) for words, right in REMEDIES if words in stops), "")


def _is_http(asked: Asked) -> bool:
    return asked.personality.firmware == "edk2-http"


def _stops(observed: Observed) -> Iterator[Seen]:
    """One finding for all that stop for the same reason; HTTP boot that nobody offers is no fault of a network that boots by PXE."""
    groups: dict[tuple[str, str, Level], list[Asked]] = {}
    some = any(map(boots, observed.asked))
    by_pxe = not all(map(_is_http, observed.asked))
    for asked in _stopped(observed):
        unoffered = by_pxe and _is_http(asked) and "no offer of class" in asked.choice.stops
        level = Level.NOTE if unoffered else Level.WARNING if some else Level.ERROR
        groups.setdefault((asked.choice.stops, remedy_of(asked), level), []).append(asked)
    for (stops, right, level), those in groups.items():
        names = ", ".join(asked.personality.name for asked in those)
        would = "would not boot" if level is not Level.NOTE else "is not answered"
        yield Seen(f"{names} {would}: {stops}", tuple(dict.fromkeys(_hears(those))), right, level)


def _hears(those: Sequence[Asked]) -> Iterator[str]:
    for asked in those:
        for heard in asked.heard:
            if (reply := heard.reply()) is not None:
                said = Answer(asked, heard, reply).words
                yield f"{asked.personality.name} hears {address_text(server_of(reply))}: {said}"


def _unanswered(observed: Observed) -> Iterator[Seen]:
    """Nobody says anything to one, although others are answered."""
    if not list(answers(observed)):
        return
    silent = [asked for asked in observed.asked if not asked.heard]
    if silent:
        names = ", ".join(asked.personality.name for asked in silent)
        yield Seen(f"nobody answers {names}, although others are answered")


def _port_4011(observed: Observed) -> Iterator[Seen]:
    for server in dict.fromkeys(one.server for one in observed.boot_servers if not one.heard):
        asked = [one for one in observed.boot_servers if one.server == server]
        those = [answer for answer in answers(observed) if server in _leads_to(answer)]
        names = ", ".join(dict.fromkeys(one.by for one in asked))
        gives = any(answer.gives and not _inside(answer) for answer in those)
        evidence = (f"asked as {names} at {address_text(server)}:4011", *(answer.words for answer in those[:1]))
        if gives:
            words = (
                f"{address_text(server)} puts the class PXEClient into its DHCP offers, which sends firmware to its port 4011 for the "
                "file, and nobody answers there"
            )
            right = "take option 60 out of the DHCP server's answers, or start the ProxyDHCP service on that host and let UDP 4011 in"
            yield Seen(words, evidence, right)
        else:
            yield Seen(f"{address_text(server)} sends firmware to its port 4011, and nobody answers there", evidence)


def _leads_to(answer: Answer) -> tuple[int, ...]:
    return answer.reply.message.siaddr, answer.reply.server_id, answer.reply.from_address


def _inside(answer: Answer) -> bool:
    return bool(answer.reply.raw(OptionCode.VENDOR_SPECIFIC))


def _other_4011(observed: Observed) -> Iterator[Seen]:
    """Answers that firmware does not take although it asked."""
    for one in observed.boot_servers:
        asked = next((asked for asked in observed.asked if asked.personality.name == one.by), None)
        if one.heard and asked is not None and _SILENT_4011 in asked.choice.stops:
            yield Seen(f"{address_text(one.server)} answers {one.by} on port 4011 without a boot file", (_said(one),))


def _said(one: BootServer) -> str:
    reply = one.heard[0].reply()
    return f'file "{reply.file}"' if reply is not None and reply.file else "no file, no option 67"


def _loop(observed: Observed) -> Iterator[Seen]:
    """An iPXE that is told to load iPXE does so for ever (pxe.md §4, loop breaking)."""
    those = [
        asked
        for asked in observed.asked
        if OptionCode.USER_CLASS in dict(asked.personality.voice.discover)
        and kind_of(asked.choice.url.rpartition("/")[2]) == "ipxe"
    ]
    if those:
        names = ", ".join(asked.personality.name for asked in those)
        yield Seen(
            f"{names} is iPXE already, and is told to load iPXE again: it would do so for ever",
            tuple(f"{asked.personality.name} loads {asked.choice.url}" for asked in those),
        )


def _wrong_kind(observed: Observed) -> Iterator[Seen]:
    """By the names alone; what the files are is looked at where they can be read."""
    for asked in observed.asked:
        name, arch = asked.choice.url.rpartition("/")[2].lower(), asked.personality.arch
        bios_only = kind_of(name) in ("pxelinux", "lpxelinux") or name.endswith((".0", ".kpxe", ".pxe"))
        if (arch == "bios" and name.removesuffix(".signed").endswith(".efi")) or (arch != "bios" and bios_only):
            yield Seen(
                f"{asked.personality.name} is told to load {name}, which by its name is not for {_ARCH_NAMES.get(arch, arch)}",
                (f"it loads {asked.choice.url}",),
            )


def _same_class(found: Sequence[Asked]) -> dict[str, list[Asked]]:
    groups: dict[str, list[Asked]] = {}
    for asked in found:
        groups.setdefault(asked.choice.url, []).append(asked)
    return groups


def _one_for_all(observed: Observed) -> Iterator[Seen]:
    """BIOS and UEFI get the same file, so one of them cannot start it."""
    firmware = [asked for asked in observed.asked if asked.choice.url and asked.personality.firmware == "edk2-pxe"]
    for url, those in _same_class(firmware).items():
        kinds = dict.fromkeys(_ARCH_NAMES.get(asked.personality.arch, asked.personality.arch) for asked in those)
        if len(kinds) > 1:
            names = ", ".join(asked.personality.name for asked in those)
            yield Seen(f"{names} are all told to load {url}: no file starts on {' and '.join(kinds)}")


def _question(observed: Observed) -> Iterator[Seen]:
    for asked in observed.asked:
        if asked.choice.question is not None:
            server = address_text(asked.choice.question.server)
            yield Seen(f"{asked.personality.name} would ask {server} on port 4011 next, and that was not tried")


def _kept(observed: Observed) -> Iterator[Seen]:
    for what in dict.fromkeys(what for asked in observed.asked for what in asked.choice.kept):
        yield Seen(f"not sent: {what}")


RULES = (
    Rule("boot.stops", Level.ERROR, "see what the server has configured for such machines", _stops),
    Rule(
        "proxy.4011-closed", Level.ERROR,
        "start the ProxyDHCP service there, and let UDP 4011 through its firewall", _port_4011,
    ),
    Rule(
        "proxy.4011-no-file", Level.ERROR,
        "name a boot file for this architecture there; only known machines may be answered: name one by --mac", _other_4011,
    ),
    Rule("ipxe.loop", Level.ERROR, "give iPXE (user class iPXE, option 77) a script or an URL instead of iPXE itself", _loop),
    Rule("boot.one-for-all", Level.ERROR, "choose the file by the client's architecture (option 93)", _one_for_all),
    Rule("boot.wrong-kind", Level.WARNING, "choose the file by the client's architecture (option 93)", _wrong_kind),
    Rule(
        "boot.unanswered", Level.WARNING,
        "see whether the server refuses this class (option 60, 93); a server may answer only machines that it knows: name one by --mac",
        _unanswered,
    ),
    Rule("boot.not-tried", Level.NOTE, "give the interface an address, and try again", _question),
    Rule("boot.kept", Level.NOTE, "", _kept),
)  # fmt: skip
"""In the order in which they are told within a level."""
