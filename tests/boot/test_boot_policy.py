"""What a machine boots and by which loader: each rule once, and what must never happen whatever the configuration."""

from __future__ import annotations

import itertools

import pytest

from pxenet.boot.policy import (
    DEFAULT_LOADERS,
    LOADERS,
    RULES,
    Action,
    Plan,
    PlanSettings,
    Setting,
    choose,
    fetches,
    find_loader,
    loader_of,
    plan,
)
from pxenet.model import (
    ARCHITECTURE_PLATFORMS,
    BootClient,
    BootFile,
    ClientKind,
    Host,
    InstallRecord,
    InstallState,
    Loader,
    Platform,
    Profile,
    platform_of,
)

MAC = bytes.fromhex("525400123456")
ALMA = Profile("alma9", "profile/alma9/vmlinuz")
PROFILES = {"alma9": ALMA}
NODE = Host("node1", MAC, profile="alma9")
STRANGER = Host("52:54:00:12:34:56", MAC, configured=False)
URL = "http://10.0.0.1"


class Shelf:
    """Has everything but what is named."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing

    def has(self, path: str) -> bool:
        return path not in self.missing

    def advice(self, *paths: str) -> str:
        return "; ".join(f"apt install {path.partition('/')[2]}" for path in paths)


def client(arch: int, kind: ClientKind = ClientKind.PXE, features: tuple[int, ...] = ()) -> BootClient:
    return BootClient(MAC, kind, arch, platform_of(arch)[0], ipxe_features=frozenset(features))


def record(state: InstallState, attempts: int = 0) -> InstallRecord:
    return InstallRecord(NODE.key, state, "alma9", attempts)


@pytest.mark.parametrize(
    ("host", "known", "unknown", "action", "reason"),
    [
        pytest.param(NODE, None, "ignore", Action.INSTALL, "install", id="first seen"),
        pytest.param(NODE, record(InstallState.OFFERED, 2), "ignore", Action.INSTALL, "install", id="last attempt"),
        pytest.param(NODE, record(InstallState.OFFERED, 3), "ignore", Action.LOCAL, "stopped", id="too often"),
        pytest.param(NODE, record(InstallState.NEW, 3), "ignore", Action.LOCAL, "stopped", id="too often, reset"),
        pytest.param(NODE, record(InstallState.ANSWERED, 3), "ignore", Action.INSTALL, "install", id="last one runs"),
        pytest.param(NODE, record(InstallState.INSTALLED, 1), "ignore", Action.LOCAL, "installed", id="installed"),
        pytest.param(NODE, record(InstallState.FAILED, 1), "ignore", Action.LOCAL, "failed", id="failed"),
        pytest.param(NODE, record(InstallState.FAILED, 3), "ignore", Action.LOCAL, "stopped", id="stopped"),
        pytest.param(Host("n", MAC), None, "ignore", Action.LOCAL, "no-profile", id="reservation"),
        pytest.param(Host("n", MAC), None, "alma9", Action.LOCAL, "no-profile", id="reservation, strangers install"),
        pytest.param(Host("n", MAC), None, "menu", Action.MENU, "no-profile-menu", id="reservation, menu"),
        pytest.param(Host("n", MAC, profile="gone"), None, "ignore", Action.LOCAL, "lost-profile", id="lost profile"),
        pytest.param(STRANGER, None, "ignore", Action.NONE, "unknown-ignore", id="stranger ignored"),
        pytest.param(STRANGER, None, "local", Action.LOCAL, "unknown-local", id="stranger local"),
        pytest.param(STRANGER, None, "menu", Action.MENU, "unknown-menu", id="stranger menu"),
        pytest.param(STRANGER, None, "alma9", Action.INSTALL, "unknown-profile", id="stranger installed"),
        pytest.param(STRANGER, record(InstallState.INSTALLED), "alma9", Action.LOCAL, "installed", id="stranger once"),
        pytest.param(None, None, "ignore", Action.NONE, "unknown-ignore", id="nobody"),
        pytest.param(None, None, "local", Action.LOCAL, "unknown-local", id="nobody local"),
    ],
)
def test_plan(host: Host | None, known: InstallRecord | None, unknown: str, action: Action, reason: str) -> None:
    """The rule that applies is the one named, and leads where it should."""
    found = plan(host, known, PlanSettings(unknown, 3), PROFILES)
    assert (action, reason) == (found.action, found.reason)


@pytest.mark.parametrize(
    ("speaker", "loader", "file"),
    [
        pytest.param(client(0), None, BootFile("bios/pxelinux.0", reason="loader"), id="BIOS"),
        pytest.param(client(0), Loader.LPXELINUX, BootFile("bios/lpxelinux.0", reason="loader"), id="BIOS lpxelinux"),
        pytest.param(client(0), Loader.IPXE, BootFile("bios/undionly.kpxe", reason="loader"), id="BIOS iPXE"),
        pytest.param(client(7), None, BootFile("x64/grubx64.efi", reason="loader"), id="x64 7"),
        pytest.param(client(9), None, BootFile("x64/grubx64.efi", reason="loader"), id="x64 9"),
        pytest.param(client(7), Loader.SHIM, BootFile("x64/shimx64.efi", reason="loader"), id="x64 shim"),
        pytest.param(client(7), Loader.IPXE, BootFile("x64/ipxe.efi", reason="loader"), id="x64 iPXE"),
        pytest.param(client(7), Loader.PXELINUX, BootFile("x64/syslinux.efi", reason="loader"), id="x64 syslinux"),
        pytest.param(client(16), None, BootFile("x64/grubx64.efi", reason="loader"), id="PXE that lists HTTP"),
        pytest.param(client(6), None, BootFile("ia32/grubia32.efi", reason="loader"), id="ia32"),
        pytest.param(client(11), None, BootFile("arm64/grubaa64.efi", reason="loader"), id="arm64"),
        pytest.param(client(11), Loader.SHIM, BootFile("arm64/shimaa64.efi", reason="loader"), id="arm64 shim"),
        pytest.param(
            client(16, ClientKind.HTTP), None, BootFile(url=f"{URL}/x64/ipxe.efi", reason="http-ipxe"), id="HTTP x64"
        ),
        pytest.param(
            client(16, ClientKind.HTTP),
            Loader.IPXE,
            BootFile(url=f"{URL}/x64/ipxe.efi", reason="http-loader"),
            id="HTTP x64 iPXE",
        ),
        pytest.param(
            client(19, ClientKind.HTTP),
            None,
            BootFile(url=f"{URL}/arm64/ipxe.efi", reason="http-ipxe"),
            id="HTTP arm64",
        ),
        pytest.param(
            client(0, ClientKind.IPXE, (0x13,)),
            Loader.IPXE,
            BootFile(url=f"{URL}/boot.ipxe", reason="ipxe-script"),
            id="iPXE script",
        ),
        pytest.param(
            client(0, ClientKind.IPXE), Loader.IPXE, BootFile("boot.ipxe", reason="ipxe-script-tftp"), id="iPXE no HTTP"
        ),
        pytest.param(
            client(0, ClientKind.IPXE, (0x13,)), None, BootFile("bios/pxelinux.0", reason="ipxe-loader"), id="iPXE ROM"
        ),
        pytest.param(
            client(7, ClientKind.IPXE), None, BootFile("x64/grubx64.efi", reason="ipxe-loader"), id="iPXE ROM x64"
        ),
        pytest.param(client(12), None, BootFile(reason="unknown-arch", detail="architecture 12"), id="PowerPC"),
        pytest.param(client(7, ClientKind.OTHER), None, BootFile(reason="operating-system"), id="operating system"),
    ],
)
def test_choose(speaker: BootClient, loader: Loader | None, file: BootFile) -> None:
    """Each kind of client gets the file that suits it."""
    loaders = dict(DEFAULT_LOADERS) if loader is None else dict.fromkeys(Platform, loader)
    assert file == choose(speaker, Plan(Action.INSTALL, ALMA), NODE, Setting(Shelf(), loaders), URL)


def test_raspberry_pi() -> None:
    """Its ROM says architecture 0, but runs none of our loaders."""
    pi = BootClient(MAC, ClientKind.PXE, 0, Platform.BIOS, raspberry=True)
    assert "raspberry-pi" == choose(pi, Plan(Action.INSTALL, ALMA), NODE, Setting(Shelf()), URL).reason


def test_nothing_to_boot() -> None:
    """A machine that is ignored is told nothing, with the plan's reason."""
    ignored = Plan(Action.NONE, reason="unknown-ignore")
    assert BootFile(reason="unknown-ignore") == choose(client(7), ignored, None, Setting(Shelf()), URL)


@pytest.mark.parametrize(
    ("speaker", "missing", "file"),
    [
        pytest.param(
            client(0),
            ("bios/pxelinux.0", "bios/ldlinux.c32"),
            BootFile(
                reason="loader-missing",
                detail="bios/pxelinux.0 and bios/ldlinux.c32 are missing: apt install pxelinux.0; apt install ldlinux.c32",
            ),
            id="loader and module",
        ),
        pytest.param(
            client(0),
            ("bios/ldlinux.c32",),
            BootFile(reason="loader-missing", detail="bios/ldlinux.c32 is missing: apt install ldlinux.c32"),
            id="module",
        ),
        pytest.param(
            client(0, ClientKind.IPXE),
            ("bios/pxelinux.0",),
            BootFile(
                "boot.ipxe",
                reason="ipxe-loader-missing",
                detail="bios/pxelinux.0 is missing: apt install pxelinux.0",
            ),
            id="iPXE goes on with its script",
        ),
        pytest.param(
            client(16, ClientKind.HTTP),
            ("x64/ipxe.efi", "x64/snponly.efi"),
            BootFile(
                url=f"{URL}/x64/grubx64.efi",
                reason="http-no-ipxe",
                detail="x64/ipxe.efi is missing: apt install ipxe.efi",
            ),
            id="HTTP boot without iPXE",
        ),
        pytest.param(
            client(16, ClientKind.HTTP),
            ("x64/ipxe.efi",),
            BootFile(url=f"{URL}/x64/snponly.efi", reason="http-ipxe"),
            id="second best",
        ),
    ],
)
def test_missing_loaders(speaker: BootClient, missing: tuple[str, ...], file: BootFile) -> None:
    """What is missing is named with the way to get it; who can boot without it does."""
    assert file == choose(speaker, Plan(Action.INSTALL, ALMA), NODE, Setting(Shelf(*missing)), URL)


def test_ipxe_that_came_by_http_keeps_to_its_script() -> None:
    """GRUB started after HTTP boot has no network, so iPXE does not load it."""
    found = choose(
        client(7, ClientKind.IPXE, (0x13,)), Plan(Action.INSTALL, ALMA), NODE, Setting(Shelf()), URL, http_booted=True
    )
    assert BootFile(url=f"{URL}/boot.ipxe", reason="ipxe-after-http") == found


@pytest.mark.parametrize(
    ("speaker", "loader", "missing", "path", "reason"),
    [
        pytest.param(client(7), Loader.GRUB, (), "x64/ipxe.efi", "grub-proxy", id="firmware"),
        pytest.param(client(7, ClientKind.IPXE), Loader.GRUB, (), "x64/grub.ipxe", "ipxe-grub-proxy", id="iPXE"),
        pytest.param(
            client(11, ClientKind.IPXE), Loader.SHIM, (), "arm64/grub.ipxe", "ipxe-grub-proxy", id="iPXE, shim"
        ),
        pytest.param(client(7), Loader.SHIM, (), "x64/shimx64.efi", "shim-proxy", id="Secure Boot"),
        pytest.param(client(7), Loader.IPXE, (), "x64/ipxe.efi", "loader", id="iPXE sees proxies"),
        pytest.param(client(0), Loader.GRUB, (), "bios/core.0", "loader", id="BIOS has PXE's own packet"),
        pytest.param(client(7), Loader.GRUB, ("x64/grubx64.efi",), "", "loader-missing", id="no GRUB"),
        pytest.param(
            client(7),
            Loader.GRUB,
            ("x64/ipxe.efi", "x64/snponly.efi"),
            "x64/grubx64.efi",
            "grub-proxy-alone",
            id="no iPXE",
        ),
    ],
)
def test_grub_behind_another_dhcp_server(
    speaker: BootClient, loader: Loader, missing: tuple[str, ...], path: str, reason: str
) -> None:
    """GRUB looks for its files where the address came from; an iPXE before it puts that right."""
    setting = Setting(Shelf(*missing), dict.fromkeys(Platform, loader))
    found = choose(speaker, Plan(Action.INSTALL, ALMA), NODE, setting, URL, proxied=True)
    assert (path, reason) == (found.path, found.reason)
    assert found.reason in RULES


@pytest.mark.parametrize("features", [(), (0x13,), (0x13, 0x14)])
@pytest.mark.parametrize("arch", ARCHITECTURE_PLATFORMS)
def test_never_ipxe_to_ipxe(arch: int, features: tuple[int, ...]) -> None:
    """An iPXE client never gets an iPXE binary, whatever is configured or missing: it would load itself for ever."""
    speaker = client(arch, ClientKind.IPXE, features)
    binaries = {name for (_, which), files in LOADERS.items() if which is Loader.IPXE for name in files.names}
    shelves = [Shelf(), Shelf("x64/grubx64.efi", "bios/pxelinux.0")]
    for loader, shelf, http_booted, action in itertools.product(Loader, shelves, [False, True], Action):
        setting = Setting(shelf, dict.fromkeys(Platform, loader))
        found = choose(speaker, Plan(action, ALMA), NODE, setting, URL, http_booted=http_booted)
        assert found.path not in binaries
        assert found.url.removeprefix(f"{URL}/") not in binaries
        assert not found.reason or found.reason in RULES


def test_the_nearest_choice_of_a_loader_wins() -> None:
    """Host before profile before configuration before default."""
    shim, ipxe, grub = ({Platform.X64: loader} for loader in (Loader.SHIM, Loader.IPXE, Loader.GRUB))
    host = Host("n", MAC, loaders=shim)
    profile = Profile("p", "k", loaders=ipxe)
    chosen = [
        loader_of(Platform.X64, Plan(Action.INSTALL, profile), host, grub),
        loader_of(Platform.X64, Plan(Action.INSTALL, profile), NODE, grub),
        loader_of(Platform.X64, Plan(Action.INSTALL, ALMA), NODE, grub),
        loader_of(Platform.BIOS, Plan(Action.INSTALL, ALMA), None, {}),
    ]
    assert [Loader.SHIM, Loader.IPXE, Loader.GRUB, Loader.PXELINUX] == chosen


@pytest.mark.parametrize(
    ("features", "url", "able"),
    [
        ((0x13,), "http://10.0.0.1", True),
        ((0x13,), "https://10.0.0.1", False),
        ((0x13, 0x14), "https://10.0.0.1", True),
        ((0x14,), "http://10.0.0.1", False),
        ((), "http://10.0.0.1", False),
        ((0x13, 0x14), "", False),
    ],
)
def test_who_can_fetch_our_urls(features: tuple[int, ...], url: str, able: bool) -> None:
    """A build without HTTPS, told an https URL, would stop at a prompt; by TFTP it boots."""
    assert able is fetches(client(0, ClientKind.IPXE, features), url)


def test_a_combination_that_does_not_exist() -> None:
    """Syslinux has no ARM build: the message says what may be chosen."""
    path, missing = find_loader(Platform.ARM64, Loader.PXELINUX, Shelf())
    assert "" == path
    assert "there is no pxelinux for arm64; boot.loader.arm64 may be grub, ipxe, shim" == missing
