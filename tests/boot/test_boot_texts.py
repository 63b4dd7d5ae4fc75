"""Boot texts: golden per dialect, and no argument that breaks out of its place."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace

import needs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxenet.boot import grub, ipxe, pxelinux
from pxenet.boot.args import HostName, Origin, complete
from pxenet.boot.entries import BootText, InexpressibleError, KernelEntry, LocalEntry, Reader, bootif, clean_args, words
from pxenet.model import Exit, Installer

MAC = bytes.fromhex("525400123456")
READER = Reader("http://10.0.0.1", "10.0.0.1", MAC)
HTTP = Reader("http://10.0.0.1", "10.0.0.1", MAC, http=True)
ALMA = KernelEntry(
    "a9",
    "AlmaLinux 9",
    "profile/a9/vmlinuz",
    ("profile/a9/initrd.img", "profile/a9/b.img"),
    "inst.text ip=dhcp",
)
INSTALL = BootText((ALMA,))
LOCAL = BootText((LocalEntry(),))
MENU = BootText((LocalEntry(), ALMA), timeout_s=30)

PXELINUX_INSTALL = """\
DEFAULT a9
PROMPT 0
TIMEOUT 0

LABEL a9
  MENU LABEL AlmaLinux 9
  LINUX ::profile/a9/vmlinuz
  INITRD ::profile/a9/initrd.img,::profile/a9/b.img
  APPEND inst.text ip=dhcp
  IPAPPEND 2
"""

PXELINUX_MENU = """\
DEFAULT local
UI menu.c32
PROMPT 0
TIMEOUT 300
MENU TITLE Network boot

LABEL local
  MENU LABEL Boot from the local disk
  LOCALBOOT 0

LABEL a9
  MENU LABEL AlmaLinux 9
  LINUX http://10.0.0.1/profile/a9/vmlinuz
  INITRD http://10.0.0.1/profile/a9/initrd.img,http://10.0.0.1/profile/a9/b.img
  APPEND inst.text ip=dhcp
  IPAPPEND 2
"""

GRUB_INSTALL = """\
  if linux '(tftp,10.0.0.1)/profile/a9/vmlinuz' BOOTIF=01-52-54-00-12-34-56 'inst.text' 'ip=dhcp'; then
    if initrd '(tftp,10.0.0.1)/profile/a9/initrd.img' '(tftp,10.0.0.1)/profile/a9/b.img'; then boot; fi
  fi
  echo 'Could not start. Trying again in 30 seconds.'
  sleep 30
  reboot
"""

IPXE_INSTALL = """\
#!ipxe
imgfree
kernel http://10.0.0.1/profile/a9/vmlinuz initrd=initrd0 initrd=initrd1 BOOTIF=01-52-54-00-12-34-56 inst.text ip=dhcp || goto failed-a9
initrd --name initrd0 http://10.0.0.1/profile/a9/initrd.img || goto failed-a9
initrd --name initrd1 http://10.0.0.1/profile/a9/b.img || goto failed-a9
boot || goto failed-a9
:failed-a9
echo Could not start. Trying again in 30 seconds.
sleep 30
reboot
"""

IPXE_LOCAL = """\
#!ipxe
iseq ${platform} efi && goto next-boot-entry ||
sanboot --no-describe --drive 0x80 || exit
:next-boot-entry
exit 1
"""


LOCAL_ENDS = {
    "pxelinux auto": (pxelinux.render, Exit.AUTO, False, "  LOCALBOOT 0\n"),
    "pxelinux disk": (pxelinux.render, Exit.DISK, False, "  COM32 chain.c32\n  APPEND hd0\n"),
    "pxelinux next": (pxelinux.render, Exit.NEXT, False, "  LOCALBOOT -1\n"),
    "syslinux.efi disk": (pxelinux.render, Exit.DISK, True, "  LOCALBOOT 0\n"),
    "syslinux.efi next": (pxelinux.render, Exit.NEXT, True, "  LOCALBOOT 0\n"),
    "ipxe auto": (
        ipxe.render,
        Exit.AUTO,
        False,
        "sanboot --no-describe --drive 0x80 || exit\n:next-boot-entry\nexit 1\n",
    ),
    "ipxe disk": (
        ipxe.render,
        Exit.DISK,
        False,
        "sanboot --no-describe --drive 0x80 || exit\n:next-boot-entry\nexit 1\n",
    ),
    "ipxe next": (ipxe.render, Exit.NEXT, False, "#!ipxe\niseq ${platform} efi && exit 1 || exit\n"),
    "grub auto": (grub.render, Exit.AUTO, False, "  echo 'No boot loader found on a local disk.'\n  sleep 5\n  exit\n"),
    "grub disk": (grub.render, Exit.DISK, True, "  echo 'No boot loader found on a local disk.'\n  sleep 5\n  exit\n"),
}


@pytest.mark.parametrize(("render", "way", "efi", "end"), LOCAL_ENDS.values(), ids=list(LOCAL_ENDS))
def test_the_way_to_the_disk(render: Callable[[BootText, Reader], str], way: Exit, efi: bool, end: str) -> None:
    """Each loader's by what is wanted; syslinux.efi has but one."""
    assert render(BootText((LocalEntry(exit=way),)), replace(READER, efi=efi)).endswith(end)


def test_grub_that_gives_back() -> None:
    assert "  exit\n" == grub.render(BootText((LocalEntry(exit=Exit.NEXT),)), READER)


@pytest.mark.parametrize(
    ("render", "text", "reader", "golden"),
    [
        pytest.param(pxelinux.render, INSTALL, READER, PXELINUX_INSTALL, id="pxelinux-install"),
        pytest.param(pxelinux.render, MENU, HTTP, PXELINUX_MENU, id="lpxelinux-menu"),
        pytest.param(grub.render, INSTALL, HTTP, GRUB_INSTALL, id="grub-install"),
        pytest.param(ipxe.render, INSTALL, HTTP, IPXE_INSTALL, id="ipxe-install"),
        pytest.param(ipxe.render, LOCAL, READER, IPXE_LOCAL, id="ipxe-local"),
    ],
)
def test_golden(render: object, text: BootText, reader: Reader, golden: str) -> None:
    """The whole text, as the loader shall read it."""
    assert callable(render)
    assert golden == render(text, reader)


def test_an_url_that_is_too_long_for_pxelinux() -> None:
    """Names have 127 bytes: a long URL gives way to the shorter TFTP name."""
    path = "profile/" + "x" * 110
    assert f"LINUX ::{path}\n" in pxelinux.render(BootText((KernelEntry("k", "k", path),)), HTTP)


def test_local_boot_of_pxelinux() -> None:
    """LOCALBOOT is the default and needs no key."""
    text = pxelinux.render(LOCAL, READER)
    assert "DEFAULT local\nPROMPT 0\nTIMEOUT 0\n" in text
    assert text.endswith("LOCALBOOT 0\n")


def test_local_boot_of_grub() -> None:
    """The disk's own loader is searched for: `exit` of GRUB 2.06 would end in the firmware's menu."""
    text = grub.render(LOCAL, READER)
    assert "search --no-floppy --file --set=root" in text
    assert "/EFI/BOOT/boot$efiarch.efi" in text
    assert text.index("chainloader /EFI") < text.index("  exit")


def test_menus_time_out_to_their_default() -> None:
    """Every menu boots the default entry after its time, in each dialect's unit."""
    assert "set timeout=30\nset default='local'\n" in grub.render(MENU, READER)
    assert "choose --default local --timeout 30000 chosen || goto entry-local\n" in ipxe.render(MENU, READER)


def test_unknown_reader() -> None:
    """Without a known address or hardware address the loader's own variables stand in."""
    nobody = Reader()
    assert "BOOTIF=01-$net_default_mac" in grub.render(INSTALL, nobody)
    assert "'/profile/a9/vmlinuz'" in grub.render(INSTALL, nobody)
    assert "BOOTIF=01-${netX/mac:hexhyp}" in ipxe.render(INSTALL, nobody)
    assert "tftp://${next-server}/profile/a9/vmlinuz" in ipxe.render(INSTALL, nobody)


def test_a_given_bootif_is_left_alone() -> None:
    """The configuration's own BOOTIF is not doubled."""
    text = BootText((KernelEntry("k", "k", "k", args="BOOTIF=01-02-03-04-05-06-07"),))
    assert "IPAPPEND" not in pxelinux.render(text, READER)
    assert 1 == grub.render(text, READER).count("BOOTIF")
    assert 1 == ipxe.render(text, READER).count("BOOTIF")


def test_bootif_is_for_ethernet() -> None:
    """Only six bytes have the form that initrds read."""
    assert ["01-52-54-00-12-34-56", "", ""] == [bootif(MAC), bootif(b""), bootif(bytes(20))]


def entry(args: str, kernel: str = "k", initrd: tuple[str, ...] = ()) -> BootText:
    return BootText((KernelEntry("k", "k", kernel, initrd, args),))


@pytest.mark.parametrize(
    ("render", "text"),
    [
        pytest.param(pxelinux.render, entry("-"), id="pxelinux dash"),
        pytest.param(pxelinux.render, entry("", "a b"), id="pxelinux blank in name"),
        pytest.param(pxelinux.render, entry("", "k", ("a,b",)), id="pxelinux comma in name"),
        pytest.param(pxelinux.render, entry("", "k" * 130), id="pxelinux long name"),
        pytest.param(grub.render, entry("a=it's"), id="grub quote"),
        pytest.param(grub.render, entry("a=\\x"), id="grub backslash"),
        pytest.param(ipxe.render, entry("a && b"), id="ipxe and"),
        pytest.param(ipxe.render, entry("a ; b"), id="ipxe semicolon"),
        pytest.param(ipxe.render, entry("a #b"), id="ipxe comment"),
        pytest.param(ipxe.render, entry("a=${net0/mac}"), id="ipxe setting"),
        pytest.param(ipxe.render, entry('a="b  c"'), id="ipxe two blanks"),
        pytest.param(ipxe.render, entry("a\\"), id="ipxe continuation"),
        *(
            pytest.param(render, entry(args), id=f"{name} {what}")
            for name, render in (("pxelinux", pxelinux.render), ("grub", grub.render), ("ipxe", ipxe.render))
            for what, args in (
                ("too long", "a" * 2040),
                ("open quote", 'a="b'),
                ("line break", 'a="b\nc"'),
                ("NUL", "a\0"),
            )
        ),
    ],
)
def test_inexpressible(render: object, text: BootText) -> None:
    """What a dialect cannot say is an error, never a text that means something else."""
    assert callable(render)
    with pytest.raises(InexpressibleError):
        render(text, READER)


def test_autoinstall_semicolon() -> None:
    """Ubuntu's ds=nocloud;s=URL ends GRUB's command unless quoted; the others take it as it is."""
    text = entry("autoinstall ds=nocloud;s=http://h/d/")
    assert "'ds=nocloud;s=http://h/d/'" in grub.render(text, READER)
    assert "APPEND autoinstall ds=nocloud;s=http://h/d/\n" in pxelinux.render(text, READER)
    assert "autoinstall ds=nocloud;s=http://h/d/ ||" in ipxe.render(text, READER)


ARGS = st.text(st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=60)
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(ARGS)
def test_nothing_breaks_out_of_pxelinux(args: str) -> None:
    """Whatever the arguments, the lines are the same, and the kernel gets the same words."""
    try:
        lines = pxelinux.render(entry(args), READER).split("\n")
    except InexpressibleError:
        return
    append = [line.strip(" ") for line in lines if line.startswith("  APPEND")]
    assert [f"APPEND {clean_args(args)}"] * bool(clean_args(args)) == append
    assert ["DEFAULT k", "PROMPT 0", "TIMEOUT 0", "", "LABEL k", "  MENU LABEL k", "  LINUX ::k"] == lines[:7]


@SLOW
@given(ARGS)
def test_nothing_breaks_out_of_grub(args: str) -> None:
    """A shell reads the line as the same words, with double quotes gone (GRUB puts them back)."""
    try:
        line = grub.render(entry(args), READER).split("\n")[0]
    except InexpressibleError:
        return
    given = [word.replace('"', "") for word in words(clean_args(args))]
    expected = [
        "(tftp,10.0.0.1)/k",
        *([] if "BOOTIF=" in line and any(w.startswith("BOOTIF=") for w in given) else ["BOOTIF=01-52-54-00-12-34-56"]),
        *given,
    ]
    assert expected == shlex.split(line.removeprefix("  if linux ").removesuffix("; then"))


@SLOW
@given(ARGS)
def test_nothing_breaks_out_of_ipxe(args: str) -> None:
    """The kernel line stays one command with one alternative, and its words are the kernel's."""
    try:
        lines = ipxe.render(entry(args), READER).split("\n")
    except InexpressibleError:
        return
    assert ["#!ipxe", "imgfree"] == lines[:2]
    command, _, alternative = lines[2].rpartition(" || ")
    assert "goto failed-k" == alternative
    assert "||" not in command.split(" ")
    assert command.endswith(clean_args(args))
    assert "boot || goto failed-k" == lines[3]


@needs.tool("grub-script-check")
@pytest.mark.parametrize(
    "text",
    [INSTALL, LOCAL, MENU, entry("a;b|c {d} $e <f> 'g'".replace("'", ""))],
    ids=["install", "local", "menu", "signs"],
)
def test_grub_accepts(text: BootText) -> None:
    """GRUB's own parser takes the script."""
    run = subprocess.run(
        ["grub-script-check"], input=grub.render(text, READER), text=True, capture_output=True, check=False
    )
    assert (0, "") == (run.returncode, run.stderr)


@pytest.mark.parametrize(
    ("args", "kind", "legacy", "expected"),
    [
        ("", "kickstart", False, "inst.ks=A inst.repo=S"),
        ("quiet", "kickstart", False, "quiet inst.ks=A inst.repo=S"),
        ("inst.ks=X", "kickstart", False, "inst.ks=X inst.repo=S"),
        ("inst.stage2=X", "kickstart", False, "inst.stage2=X inst.ks=A"),
        ("", "kickstart", True, "ks=A method=S"),
        ("inst.ks", "kickstart", False, "inst.ks inst.ks=A inst.repo=S"),
        ("", "preseed", False, "auto=true priority=critical interface=auto url=A"),
        (
            "quiet --- console=ttyS0",
            "preseed",
            False,
            "quiet auto=true priority=critical interface=auto url=A --- console=ttyS0",
        ),
        ("auto url=X", "preseed", False, "auto url=X priority=critical interface=auto"),
        (
            "netcfg/choose_interface=eth1",
            "preseed",
            False,
            "netcfg/choose_interface=eth1 auto=true priority=critical url=A",
        ),
        ("a\n  b", "", False, "a b"),
        ("", "agama", False, "inst.auto=A"),
        ("", "autoyast", False, "autoyast=A"),
        ("", "notes", False, ""),
    ],
)
def test_arguments_are_completed(args: str, kind: str, legacy: bool, expected: str) -> None:
    """What the installer needs and the profile did not give is added, once, where it reads it."""
    origin = Origin(source_url="S")
    assert expected == complete(args, kind=kind, answer_url="A", origin=origin, legacy=legacy)
    assert expected == complete(expected, kind=kind, answer_url="A", origin=origin, legacy=legacy)


U = "http://h/answer/t/p/user-data"


@pytest.mark.parametrize(
    ("args", "kind", "installer", "host", "expected"),
    [
        ("", "autoinstall", None, "", "autoinstall ds=nocloud;s=http://h/answer/t/p/"),
        ("ds=nocloud;s=http://x/", "autoinstall", None, "", "ds=nocloud;s=http://x/ autoinstall"),
        ("", "autoyast", Installer.LINUXRC, "", f"autoyast={U} install=S"),
        ("", "autoyast", Installer.AGAMA, "", f"inst.auto={U} root=live: ip=dhcp rd.neednet=1"),
        (
            "",
            "ignition",
            None,
            "",
            f"ignition.config.url={U} ignition.firstboot ignition.platform.id=metal ip=dhcp rd.neednet=1",
        ),
        (
            "coreos.inst.install_dev=/dev/sda ip=eth0:dhcp",
            "ignition",
            None,
            "",
            f"coreos.inst.install_dev=/dev/sda ip=eth0:dhcp coreos.inst.ignition_url={U} rd.neednet=1",
        ),
        ("", "preseed", None, "n1", f"auto=true priority=critical interface=auto hostname=n1 domain=lab url={U}"),
        ("", "preseed", None, "n1.x.y", f"auto=true priority=critical interface=auto hostname=n1 domain=x.y url={U}"),
        (
            "hostname=a domain=",
            "preseed",
            None,
            "n1",
            f"hostname=a domain= auto=true priority=critical interface=auto url={U}",
        ),
    ],
)
def test_arguments_of_other_installers(
    args: str, kind: str, installer: Installer | None, host: str, expected: str
) -> None:
    """Each installer is told in its own words, the names too that it asks for before it has read anything; nothing is doubled."""
    origin = Origin(installer, "S")
    made = complete(args, kind=kind, answer_url=U, origin=origin, host=HostName(host, "lab" if host else ""))
    assert expected == made
    assert expected == complete(
        made, kind=kind, answer_url=U, origin=origin, host=HostName(host, "lab" if host else "")
    )


def test_what_two_reasons_want() -> None:
    """An argument that the answer file needs and the source too is said once."""
    origin = Origin(Installer.COREOS, stage2_url="R", source_url="S")
    made = complete("coreos.inst.install_dev=/dev/sda", kind="ignition", answer_url=U, origin=origin)
    wanted = f"coreos.inst.ignition_url={U} ip=dhcp rd.neednet=1 coreos.live.rootfs_url=R"
    assert f"coreos.inst.install_dev=/dev/sda {wanted}" == made


def test_a_seed_in_grub() -> None:
    """The semicolon of cloud-init's argument is no end of a command, in any loader's text."""
    word = "ds=nocloud;s=http://h/answer/t/p/"
    assert f"'{word}'" in grub.render(entry(f"autoinstall {word} quiet"), READER)
    assert f" {word} " in ipxe.render(entry(f"autoinstall {word} quiet"), READER)
    assert f" {word} " in pxelinux.render(entry(f"autoinstall {word} quiet"), READER)


H = "http://h:8080/profile/p"
SOURCES = {
    Installer.ANACONDA: f"inst.repo={H}",
    Installer.ANACONDA_LEGACY: f"method={H}",
    Installer.DEBIAN: "mirror/country=manual mirror/protocol=http mirror/http/hostname=h:8080 mirror/http/directory=/profile/p",
    Installer.SUBIQUITY: f"ip=dhcp url={H}/u.iso cloud-config-url=/dev/null",
    Installer.LINUXRC: f"install={H}",
    Installer.AGAMA: f"root=live:{H}/s.img ip=dhcp rd.neednet=1 inst.install_url={H}/install",
    Installer.COREOS: f"coreos.live.rootfs_url={H}/s.img ip=dhcp rd.neednet=1",
    Installer.ARCH: f"archisobasedir=arch archiso_http_srv={H}/ ip=dhcp",
    Installer.ALPINE: f"ip=dhcp modules=loop,squashfs modloop={H}/s.img alpine_repo={H}/apks",
    Installer.PROXMOX: "",
    Installer.ESXI: "",
    Installer.OTHER: "",
}


@pytest.mark.parametrize("installer", Installer, ids=lambda installer: installer.name)
def test_each_installer_is_told_its_source(installer: Installer) -> None:
    """In its own words, without an answer file too; what was given is not doubled."""
    origin = Origin(installer, H, f"{H}/u.iso", f"{H}/s.img", packages=True)
    expected = SOURCES[installer]
    assert expected == complete("", kind="", origin=origin)
    assert expected == complete(expected, kind="", origin=origin)


def test_a_source_that_has_nothing_for_its_installer() -> None:
    """No image, no packages: nothing is promised that is not there."""
    assert "" == complete("", kind="", origin=Origin(Installer.SUBIQUITY, H))
    assert "" == complete("", kind="", origin=Origin(Installer.DEBIAN, H))
    assert "root=live:S ip=dhcp rd.neednet=1" == complete(
        "", kind="", origin=Origin(Installer.AGAMA, H, stage2_url="S")
    )


def test_texts_that_cannot_be() -> None:
    """A default that is no entry, a menu without time, a name that is no label."""
    for bad in (
        lambda: BootText((ALMA,), default=1),
        lambda: BootText((ALMA, LocalEntry())),
        lambda: BootText((KernelEntry("a b", "x", "k"),)),
    ):
        with pytest.raises(ValueError):
            bad()
