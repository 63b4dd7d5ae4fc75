"""Rendered entries: which names are ours, whose they are, and that nobody reads another machine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from pxenet.answer.context import names
from pxenet.answer.engines import HERE, Engine, Job, NotYetError
from pxenet.answer.masking import Mask
from pxenet.boot.policy import DEFAULT_LOADERS, Action, Plan
from pxenet.content.plain import read
from pxenet.content.rendered import BootName, Rendered, boot_name
from pxenet.engine.access import Permission
from pxenet.model import (
    Absent,
    Asker,
    BootClient,
    ClientKind,
    Content,
    Exit,
    Host,
    Later,
    Loader,
    Missing,
    Platform,
    Profile,
    Role,
)
from pxenet.wire.text import address_text, mac_text

MAC1, MAC2 = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
UUID_WIRE = bytes.fromhex("33221100554477668899aabbccddeeff")
UUID = "00112233-4455-6677-8899-aabbccddeeff"
ONE = Host("one", MAC1, profile="alma9")
TWO = Host("two", MAC2, uuid=UUID, profile="alma9")
A1, A2, A9 = 0x0A000001, 0x0A000002, 0x0A000009
SERVER = 0x0A0000FE


def stranger(mac: bytes) -> Host:
    return Host(mac_text(mac), mac, configured=False)


class World:
    """What a rack would tell: two hosts, their plans, who may read."""

    def __init__(self, directory: Path, **profile: object) -> None:
        self.template = directory / "ks.cfg.j2"
        self.template.write_text("# for {{ host.name }}\n")
        self.profile = Profile(
            "alma9",
            "profile/alma9/vmlinuz",
            ("profile/alma9/initrd.img",),
            args=str(profile.get("args", "console=ttyS0")),
            vars=cast("Mapping[str, object]", profile.get("vars", {})),
            answer=str(self.template),
            reports=False,
            source_url="{server}/profile/alma9",
        )
        self.plans: dict[str, Plan] = {}
        self.unknown = Plan(Action.NONE, reason="unknown-ignore")
        self.loaders: dict[Platform, Loader] = dict(DEFAULT_LOADERS)
        self.refused = ""
        self.ended = False

    def rendered(
        self, engine: Engine = HERE, mask: Callable[[Host, Sequence[Profile]], Mask] = lambda host, profiles: Mask()
    ) -> Rendered:
        return Rendered(
            engine=engine,
            mask=mask,
            plan=self.plan,
            host_of_mac=lambda mac: {MAC1: ONE, MAC2: TWO}.get(mac) or stranger(mac),
            host_of_uuid=lambda uuid: {UUID: TWO}.get(uuid),
            host_of_key=lambda key: {ONE.key: ONE, TWO.key: TWO}.get(key),
            names=self.names,
            may_be=self.may_be,
            may_read=self.may_read,
            url=lambda address: f"http://{address_text(address)}",
            loaders=self.loaders,
            profiles=[self.profile],
            modified_at=1000,
        )

    def plan(self, host: Host | None) -> Plan:
        if host is None or not host.configured:
            return self.unknown
        return self.plans.get(host.name, Plan(Action.INSTALL, self.profile, "install"))

    def names(self, host: Host, profile: Profile, asker: Asker) -> Mapping[str, object]:
        url = f"http://{address_text(asker.server)}"
        return names(host, profile, token=f"token-{host.name}", server_url=url, server_address=asker.server)

    def may_be(self, key: str, mac: bytes | None, address: int, now: float) -> Permission:
        return Permission(address != A9, key, "this address belongs to others")

    def may_read(self, token: str, address: int, now: float) -> Permission:
        key = {"token-one": ONE.key, "token-two": TWO.key}.get(token)
        if key is None or self.refused:
            return Permission(False, key or "", self.refused or "not valid", self.ended)
        return Permission(True, key)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def asker(host: Host | None, address: int = A1, client: BootClient | None = None) -> Asker:
    return Asker(address, host, "lease" if host else "", client, SERVER)


def text(found: Content | Absent | Later | None) -> str:
    assert isinstance(found, Content), found
    return read(found).decode()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pxelinux.cfg/default", BootName("pxelinux")),
        ("bios/pxelinux.cfg/default", BootName("pxelinux")),
        ("a/b/pxelinux.cfg/01-52-54-00-00-00-01", BootName("pxelinux", mac=MAC1)),
        ("pxelinux.cfg/20-52-54-00-00-00-01", BootName("pxelinux", mac=MAC1)),
        ("pxelinux.cfg/33221100-5544-7766-8899-aabbccddeeff", BootName("pxelinux", uuid=UUID_WIRE)),
        ("pxelinux.cfg/0A000001", BootName("pxelinux", address=A1)),
        ("pxelinux.cfg/0A00000", None),
        ("pxelinux.cfg/0", None),
        ("pxelinux.cfg/graphics.conf", None),
        ("pxelinux.cfg/01-52-54-00-00-00-01.bak", None),
        ("grub.cfg", BootName("grub")),
        ("grub/grub.cfg", BootName("grub")),
        ("grub/x86_64-efi/grub.cfg", BootName("grub")),
        ("debian-installer/arm64/grub/grub.cfg", BootName("grub")),
        ("grub/grub.cfg-01-52-54-00-00-00-01", BootName("grub", mac=MAC1)),
        ("grub/grub.cfg-33221100-5544-7766-8899-aabbccddeeff", BootName("grub", uuid=UUID_WIRE)),
        ("grub/grub.cfg-0A000001", BootName("grub", address=A1)),
        ("grub/grub.cfg-0A0", None),
        ("boot.ipxe", BootName("ipxe")),
        ("x64/autoexec.ipxe", BootName("ipxe")),
        ("other.ipxe", None),
        ("profile/alma9/EFI/BOOT/grub.cfg", None),
        ("profile/alma9/isolinux/pxelinux.cfg/default", None),
        ("grub/x86_64-efi/command.lst", None),
    ],
)
def test_names(path: str, name: BootName | None) -> None:
    """The whole search order of each loader, under any prefix; shortened addresses and a profile's own files are not ours."""
    assert name == boot_name(path)


@pytest.mark.parametrize("path", ["pxelinux.cfg/default", "grub/grub.cfg", "boot.ipxe"])
def test_generic_names_are_for_who_asks(world: World, path: str) -> None:
    """The same name gives each machine its own text."""
    source = world.rendered()
    one, two = (text(source.find(path, asker(host), 0.0)) for host in (ONE, TWO))
    assert "inst.ks=http://10.0.0.254/answer/token-one/alma9/ks.cfg" in one
    assert "inst.repo=http://10.0.0.254/profile/alma9" in one
    assert "token-two" in two
    assert "token-one" not in two


@pytest.mark.parametrize(
    "path",
    [
        "pxelinux.cfg/01-52-54-00-00-00-02",
        "grub/grub.cfg-01-52-54-00-00-00-02",
        "pxelinux.cfg/33221100-5544-7766-8899-aabbccddeeff",
        "pxelinux.cfg/00112233-4455-6677-8899-aabbccddeeff",
    ],
)
def test_a_name_that_says_whose_it_is(world: World, path: str) -> None:
    """Its machine reads it, nobody knows who asks: it is rendered; another machine is refused."""
    source = world.rendered()
    assert "token-two" in text(source.find(path, asker(TWO), 0.0))
    assert "token-two" in text(source.find(path, asker(None), 0.0))
    refused = source.find(path, asker(ONE), 0.0)
    assert isinstance(refused, Absent)
    assert (Missing.DENIED, "it is for two, but this address is one's (lease)") == (refused.missing, refused.detail)


@pytest.mark.parametrize("path", ["pxelinux.cfg/01-52-54-00-00-00-01", "grub.cfg-01-52-54-00-00-00-01"])
def test_a_name_is_no_proof(world: World, path: str) -> None:
    """Where nobody is known by address, what speaks against the name decides: its text carries that machine's token."""
    rendered = world.rendered()
    assert "token-one" in text(rendered.find(path, asker(None, A2), 0.0))
    refused = Absent(Missing.DENIED, "this address belongs to others")
    assert rendered.find(path, asker(None, A9), 0.0) == refused


def test_a_name_that_is_an_address(world: World) -> None:
    """Only the machine at that address may ask for it, and it must be known there."""
    source = world.rendered()
    assert "token-one" in text(source.find("pxelinux.cfg/0A000001", asker(ONE, A1), 0.0))
    assert source.find("pxelinux.cfg/0A000001", asker(None, A1), 0.0) is None
    refused = source.find("pxelinux.cfg/0A000002", asker(ONE, A1), 0.0)
    assert isinstance(refused, Absent)
    assert Missing.DENIED is refused.missing


def test_a_machine_id_that_only_dhcp_knows(world: World) -> None:
    """A host configured by its hardware address asks by its machine id first."""
    client = BootClient(MAC1, ClientKind.PXE, 0, Platform.BIOS, uuid=bytes(range(16)))
    path = "pxelinux.cfg/00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert "token-one" in text(world.rendered().find(path, asker(ONE, A1, client), 0.0))
    assert world.rendered().find(path, asker(ONE), 0.0) is None


def test_nobody_decided(world: World) -> None:
    """An ignored stranger's names are left to server.root."""
    source = world.rendered()
    for path in ("pxelinux.cfg/default", "grub.cfg", "boot.ipxe", "pxelinux.cfg/01-52-54-00-00-00-09"):
        assert source.find(path, asker(None, A9), 0.0) is None


def test_strangers(world: World) -> None:
    """boot.unknown = local or menu holds for machines nobody knows; without knowing who asks a menu can only offer the disk."""
    source = world.rendered()
    world.unknown = Plan(Action.LOCAL, reason="unknown-local")
    assert "LOCALBOOT 0" in text(source.find("pxelinux.cfg/default", asker(None), 0.0))
    world.unknown = Plan(Action.MENU, reason="unknown-menu")
    assert "LABEL alma9" not in text(source.find("pxelinux.cfg/default", asker(None), 0.0))
    menu = text(source.find("pxelinux.cfg/01-52-54-00-00-00-09", asker(None), 0.0))
    assert "LABEL local" in menu
    assert "LABEL alma9" in menu
    world.unknown = Plan(Action.INSTALL, world.profile, "unknown-profile")
    nobody = source.find("pxelinux.cfg/default", asker(None), 0.0)
    assert isinstance(nobody, Absent)
    assert "nobody knows which machine asks" in nobody.detail


def test_an_installed_machine_boots_its_disk(world: World) -> None:
    """In every dialect, and its token is in none of them."""
    world.plans["one"] = Plan(Action.LOCAL, world.profile, "installed")
    source = world.rendered()
    texts = [text(source.find(path, asker(ONE), 0.0)) for path in ("pxelinux.cfg/default", "grub.cfg", "boot.ipxe")]
    assert [True, True, True] == [
        mark in found for mark, found in zip(("LOCALBOOT", "chainloader", "sanboot"), texts, strict=True)
    ]
    assert not any("token" in found for found in texts)
    world.plans["one"] = Plan(Action.LOCAL, world.profile, "installed")
    given_back = asker(replace(ONE, exit=Exit.NEXT))
    assert "LOCALBOOT -1" in text(source.find("pxelinux.cfg/default", given_back, 0.0))
    efi = replace(given_back, client=BootClient(b"", ClientKind.PXE, 7, Platform.X64))
    assert "LOCALBOOT 0" in text(source.find("pxelinux.cfg/default", efi, 0.0))


@pytest.mark.parametrize(
    ("path", "client", "loader", "kernel"),
    [
        ("pxelinux.cfg/default", None, Loader.PXELINUX, "LINUX ::profile/alma9/vmlinuz"),
        ("pxelinux.cfg/default", None, Loader.LPXELINUX, "LINUX http://10.0.0.254/profile/alma9/vmlinuz"),
        (
            "pxelinux.cfg/default",
            BootClient(MAC1, ClientKind.PXE, 7, Platform.X64),
            Loader.LPXELINUX,
            "LINUX ::profile/alma9/vmlinuz",
        ),
        ("grub.cfg", None, Loader.GRUB, "linux '(tftp,10.0.0.254)/profile/alma9/vmlinuz'"),
        ("boot.ipxe", None, Loader.IPXE, "kernel tftp://10.0.0.254/profile/alma9/vmlinuz"),
        (
            "boot.ipxe",
            BootClient(MAC1, ClientKind.IPXE, 0, Platform.BIOS, ipxe_features=frozenset({0x13})),
            Loader.IPXE,
            "kernel http://10.0.0.254/profile/alma9/vmlinuz",
        ),
    ],
)
def test_how_the_kernel_comes(world: World, path: str, client: BootClient | None, loader: Loader, kernel: str) -> None:
    """By HTTP only where the loader is known to be able to."""
    world.loaders[Platform.BIOS] = loader
    assert kernel in text(world.rendered().find(path, asker(ONE, A1, client), 0.0))


def test_what_a_text_is(world: World) -> None:
    """A boot text is private (it carries the token), keeps its ETag while it does not change, and is as old as the configuration."""
    source = world.rendered()
    first, second = (source.find("grub.cfg", asker(ONE), now) for now in (0.0, 99.0))
    assert isinstance(first, Content)
    assert first == second
    assert (True, Role.CONFIG, 1000, "text/plain") == (first.private, first.role, first.modified_at, first.mime)


@pytest.mark.parametrize(
    ("args", "secret"),
    [
        ("console=ttyS0", False),
        ("join={{ vars.word }}", True),
        ("join={{ vars.other }}", False),
        ("sshpw=hunter22", True),
    ],
)
@pytest.mark.parametrize("action", [Action.INSTALL, Action.MENU])
def test_a_text_with_a_secret_is_one(tmp_path: Path, args: str, secret: bool, action: Action) -> None:
    """When the kernel is told what the configuration calls a secret, or what looks like one, in any dialect; not on the way to the
    disk."""
    world = World(tmp_path, args=args, vars={"word": "a&b$c", "other": "public"})
    source = world.rendered(mask=lambda host, profiles: Mask([str(profile.vars["word"]) for profile in profiles]))
    for plan, expected in ((Plan(action, world.profile, "install"), secret), (Plan(Action.LOCAL), False)):
        world.plans["one"] = plan
        for path in ("grub.cfg", "pxelinux.cfg/default", "boot.ipxe"):
            found = source.find(path, asker(ONE), 0.0)
            assert isinstance(found, Content)
            assert (expected, path) == (found.secret, path)


def test_answer_files(world: World) -> None:
    """The machine of the token reads it, as its answer file."""
    found = world.rendered().find("answer/token-one/alma9/ks.cfg", asker(ONE), 0.0)
    assert "# for one\n" == text(found)
    assert isinstance(found, Content)
    assert (True, True, Role.ANSWER, "alma9") == (found.private, found.secret, found.role, found.profile)
    assert found.modified_at >= 1000


@pytest.mark.parametrize(
    ("path", "host", "missing"),
    [
        pytest.param("answer/token-one/alma9/ks.cfg", TWO, Missing.DENIED, id="another machine"),
        pytest.param("answer/guess/alma9/ks.cfg", ONE, Missing.DENIED, id="bad token"),
        pytest.param("answer/token-one/alma9/other.cfg", ONE, Missing.NOT_FOUND, id="other name"),
        pytest.param("answer/token-one/alma8/ks.cfg", ONE, Missing.NOT_FOUND, id="other profile"),
        pytest.param("answer/token-one", ONE, Missing.NOT_FOUND, id="no name"),
        pytest.param("answer/", ONE, Missing.DENIED, id="nothing"),
    ],
)
def test_answer_files_that_are_not_given(world: World, path: str, host: Host, missing: Missing) -> None:
    """Never another host's file; never a guess."""
    found = world.rendered().find(path, asker(host), 0.0)
    assert isinstance(found, Absent)
    assert missing is found.missing


def test_access_has_the_last_word(world: World) -> None:
    """What engine.access refuses is refused, in its words; an installed machine's file is gone."""
    world.refused = "its machine is installed"
    assert Absent(Missing.DENIED, "its machine is installed") == world.rendered().find(
        "answer/token-one/alma9/ks.cfg", asker(ONE), 0.0
    )
    world.refused = ""
    world.plans["one"] = Plan(Action.LOCAL, world.profile, "installed")
    found = world.rendered().find("answer/token-one/alma9/ks.cfg", asker(ONE), 0.0)
    assert isinstance(found, Absent)


def test_a_menu_installs_again(world: World) -> None:
    """A person who chooses a profile from the menu means it, also on a machine that has reported installed before."""
    world.refused, world.ended = "its machine is installed", True
    source = world.rendered()
    path = "answer/token-one/alma9/ks.cfg"
    assert Absent(Missing.DENIED, "its machine is installed") == source.find(path, asker(ONE), 0.0)
    world.plans["one"] = Plan(Action.MENU, reason="no-profile-menu")
    assert "# for one\n" == text(source.find(path, asker(ONE), 0.0))
    world.ended = False
    assert isinstance(source.find(path, asker(ONE), 0.0), Absent)


def test_a_broken_template_is_told(tmp_path: Path) -> None:
    """The reason has file and line; problems() finds it without a boot, and what a dialect cannot say too."""
    world = World(tmp_path, args="a={{ vars.gone }}")
    source = world.rendered()
    found = source.find("grub.cfg", asker(ONE), 0.0)
    assert Absent(Missing.FAULT, "profile.alma9.args:1: undefined: 'dict object' has no attribute 'gone'") == found
    world.template.write_text("\n{{ vars.lost }}")
    assert [
        "profile.alma9.args:1: undefined: 'dict object' has no attribute 'gone'",
        f"{world.template}:2: undefined: 'dict object' has no attribute 'lost'",
    ] == source.problems(ONE, world.profile, asker(ONE))


def test_problems_of_a_dialect(tmp_path: Path) -> None:
    """An argument that one loader cannot spell is told before a machine with that loader finds out."""
    world = World(tmp_path, args="a=it's")
    assert ["GRUB has no safe spelling for the argument a=…: it contains '"] == world.rendered().problems(
        ONE, world.profile, asker(ONE)
    )


def test_a_good_host_has_no_problems(world: World) -> None:
    """Nothing is said about what is right."""
    assert [] == world.rendered().problems(ONE, world.profile, asker(ONE))


class Slow:
    """An engine whose texts are there when somebody asks for the second time."""

    def __init__(self) -> None:
        self.later: Later | None = None

    def render(self, job: Job) -> str:
        if self.later is None:
            self.later = Later()
            raise NotYetError(self.later)
        return job.run()


@pytest.mark.parametrize("path", ["grub.cfg", "answer/token-one/alma9/ks.cfg"])
def test_a_text_that_takes_a_while(world: World, path: str) -> None:
    """Arguments and answer files come later when they take a while, and are then what they would have been at once."""
    world.profile = replace(world.profile, args="host={{ host.name }}")
    slow = Slow()
    rendered = world.rendered(slow)
    found = rendered.find(path, asker(ONE), 0.0)
    assert isinstance(found, Later)
    assert found is slow.later
    assert text(world.rendered().find(path, asker(ONE), 0.0)) == text(rendered.find(path, asker(ONE), 0.0))


def test_what_is_read_beside_it(world: World, tmp_path: Path) -> None:
    """cloud-init's seed is served to whom its answer file is, and proves nothing by itself."""
    (tmp_path / "user-data").write_text("#cloud-config\n")
    world.profile = replace(world.profile, answer=str(tmp_path / "user-data"))
    rendered = world.rendered()
    found = rendered.find("answer/token-one/alma9/meta-data", asker(ONE), 0.0)
    assert "instance-id: pxenet-one\nlocal-hostname: one\n" == text(found)
    assert isinstance(found, Content)
    assert (Role.CONFIG, True) == (found.role, found.private)
    for path, host in (
        ("answer/token-one/alma9/network-config", ONE),
        ("answer/token-one/alma9/else", ONE),
        ("answer/token-one/alma9/meta-data", TWO),
    ):
        absent = rendered.find(path, asker(host), 0.0)
        assert isinstance(absent, Absent)
        assert (Missing.DENIED if host is TWO else Missing.NOT_FOUND) == absent.missing
