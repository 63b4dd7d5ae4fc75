"""Every key of the configuration, once: its type, its default and the sentence that ``pxenet check --defaults`` prints for it.

The only module that knows pydantic models; what leaves this package are the plain values of ``settings``. ``examples`` holds the TOML
value to show: for a key without a default an example of use, for one with a default the default as people write it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field

from pxenet.boot.policy import LOADERS
from pxenet.config import values
from pxenet.config.records import KickstartKeys, tables_in
from pxenet.config.sections import Section
from pxenet.engine.dhcp import DhcpMode
from pxenet.model import Exit, InstallState, Loader, Platform


def _loaders_of(platform: Platform) -> Callable[[object], Loader]:
    """Reads the name of a boot loader that exists for the platform."""
    return values.choice(Loader, *(loader for where, loader in LOADERS if where is platform))


Address = Annotated[int, BeforeValidator(values.address)]
Addresses = Annotated[list[Address], BeforeValidator(values.as_list)]
Network = Annotated[tuple[int, int], BeforeValidator(values.network)]
Range = Annotated[tuple[int, int], BeforeValidator(values.address_range)]
Ranges = Annotated[list[Range], BeforeValidator(values.as_list)]
Texts = Annotated[list[str], BeforeValidator(values.as_list)]
PathText = Annotated[str, BeforeValidator(values.path)]
Sources = Annotated[str | dict[Platform, str], BeforeValidator(values.sources)]
PathTexts = Annotated[list[PathText], BeforeValidator(values.as_list)]
Duration = Annotated[float, BeforeValidator(values.duration)]
Macs = Annotated[tuple[bytes, ...], BeforeValidator(values.macs)]
Uuid = Annotated[str, BeforeValidator(values.machine_uuid)]
Url = Annotated[str, BeforeValidator(values.url)]
Name = Annotated[str, BeforeValidator(values.name)]
Domain = Annotated[str, BeforeValidator(values.domain)]
Mode = Annotated[DhcpMode, BeforeValidator(values.choice(DhcpMode))]
BiosLoader = Annotated[Loader, BeforeValidator(_loaders_of(Platform.BIOS))]
X64Loader = Annotated[Loader, BeforeValidator(_loaders_of(Platform.X64))]
Ia32Loader = Annotated[Loader, BeforeValidator(_loaders_of(Platform.IA32))]
Arm64Loader = Annotated[Loader, BeforeValidator(_loaders_of(Platform.ARM64))]
LocalExit = Annotated[Exit, BeforeValidator(values.choice(Exit))]
Port = Annotated[int, Field(ge=1, le=65535)]
Workers = Annotated[int, BeforeValidator(values.workers)]
Variables = dict[str, object]


class LoaderKeys(Section):
    """Which boot loader each kind of firmware is given."""

    bios: BiosLoader | None = Field(
        default=None,
        description="x86 BIOS: pxelinux, lpxelinux (fetches by HTTP), ipxe, or grub (core.0 of your own in server.root).",
        examples=["pxelinux"],
    )
    x64: X64Loader | None = Field(
        default=None,
        description="64-bit x86 UEFI: grub, shim (Secure Boot), ipxe or pxelinux (syslinux.efi).",
        examples=["grub"],
    )
    ia32: Ia32Loader | None = Field(
        default=None, description="32-bit x86 UEFI: grub, shim, ipxe or pxelinux.", examples=["grub"]
    )
    arm64: Arm64Loader | None = Field(
        default=None, description="64-bit ARM UEFI: grub, shim or ipxe.", examples=["grub"]
    )

    def chosen(self) -> dict[Platform, Loader]:
        """Those that are set."""
        written = {platform: getattr(self, platform.value) for platform in Platform}
        return {platform: loader for platform, loader in written.items() if loader is not None}


class TimeoutKeys(Section):
    """How long a machine may stay in each stage of an installation."""

    offered: Duration = Field(
        default=600,
        description="From the offer to a boot loader that was read whole. What stalls before its kernel is told, and stays armed.",
        examples=["10m"],
    )
    loading: Duration = Field(default=1800, description="From there to the kernel.", examples=["30m"])
    booted: Duration = Field(
        default=14400,
        description="From there to the answer file. What takes longer from here on has failed, until it reports the end after all.",
        examples=["4h"],
    )
    answered: Duration = Field(
        default=14400, description="From there to the first file of the source.", examples=["4h"]
    )
    installing: Duration = Field(default=14400, description="From there to the report of the end.", examples=["4h"])

    def chosen(self) -> dict[InstallState, float]:
        """Seconds for each stage."""
        return {InstallState(stage): getattr(self, stage) for stage in type(self).model_fields}


class ServerKeys(Section):
    """The server itself."""

    interface: Texts = Field(
        default_factory=list,
        description="Interface to answer on, or a list of them. Unset: all that are up and have an IPv4 address, the loopback aside.",
        examples=["eth0"],
    )
    address: Address | None = Field(
        default=None,
        description="Address that clients are told to load from. Unset: the interface's own.",
        examples=["10.0.0.1"],
    )
    url: Url | None = Field(
        default=None,
        description="Base of all URLs given to clients. Unset: made of the address and http.port.",
        examples=["http://10.0.0.1"],
    )
    user: str | None = Field(
        default=None, description="User to become once the ports are bound. Unset: none.", examples=["pxenet"]
    )
    state: PathText | None = Field(
        default=None,
        description="Directory of leases and install states. Unset: /var/lib/pxenet for root, ~/.local/state/pxenet for others.",
        examples=["/var/lib/pxenet"],
    )
    secrets: PathText | None = Field(
        default=None,
        description='File of secrets (TOML, NAME = "value"), open to nobody else: "secret:NAME" stands for them anywhere here.',
        examples=["secrets.toml"],
    )
    secrets_command: list[str] = Field(
        default_factory=list,
        description="Program and arguments that print the same, in place of a file. Run at the start and with each reload.",
        examples=[["pass", "show", "pxenet"]],
    )
    root: PathText | None = Field(
        default=None,
        description="Directory whose files are served as they are, by TFTP and HTTP. Unset: none.",
        examples=["/srv/boot"],
    )
    failure_captures: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=20,
        description="When a boot fails, what was on the wire goes to a file in state/failures: so many of them. 0: nothing is kept.",
        examples=[20],
    )
    cache_gib: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=50,
        description="GiB that files of profiles with an URL as source may take in state/cache. "
        "0: nothing is kept, machines are told the URL itself.",
        examples=[50],
    )
    workers: Workers = Field(
        default=1,
        description='Processes that serve files by TFTP and HTTP; "auto": one for each processor. 1: the server itself does it.',
        examples=[1],
    )


class SubnetKeys(Section):
    """A network and what its clients are told. Repeat it for each network."""

    network: Network = Field(description="The network, as first address and prefix length.", examples=["10.0.0.0/24"])
    pool: Ranges = Field(
        default_factory=list,
        description="Addresses to give out: a range or a list of ranges. Unset: only hosts with an address get one.",
        examples=["10.0.0.100-10.0.0.200"],
    )
    router: Addresses = Field(default_factory=list, description="Default gateway, or a list.", examples=["10.0.0.254"])
    dns: Addresses = Field(default_factory=list, description="Name server, or a list.", examples=["10.0.0.53"])
    domain: Domain | None = Field(default=None, description="Domain name of the clients.", examples=["example.org"])
    lease_time: Duration | None = Field(
        default=None, description="How long an address is given here. Unset: dhcp.lease_time.", examples=["12h"]
    )
    interface: str | None = Field(default=None, description="Only for clients on this interface.", examples=["eth0"])
    next_server: Address | None = Field(
        default=None,
        description="Another TFTP server that clients load from. Unset: this server.",
        examples=["10.0.0.2"],
    )
    mode: Mode | None = Field(
        default=None,
        description="How this network is answered: server, proxy or off. Unset: dhcp.mode.",
        examples=["server"],
    )
    authoritative: bool | None = Field(
        default=None, description="Refuse foreign addresses here. Unset: dhcp.authoritative.", examples=[False]
    )


class DhcpKeys(Section):
    """DHCP for all networks."""

    mode: Mode | None = Field(
        default=None,
        description="server: give out addresses and boot files. proxy: boot files only, beside another DHCP server. off: "
        "do not answer. Unset: server when a [[dhcp.subnet]] wants it, else proxy.",
        examples=["proxy"],
    )
    port: Port = Field(default=67, description="UDP port of DHCP.")
    proxy_port: Port = Field(default=4011, description="UDP port of ProxyDHCP.")
    authoritative: bool = Field(
        default=False,
        description="Refuse (NAK) addresses that do not belong to the network: only where no other DHCP server answers.",
    )
    match_client_id: bool = Field(
        default=False,
        description="Know a client by option 61 rather than by its hardware address. Each stage of a boot then gets another address.",
    )
    lease_time: Duration = Field(
        default=43200,
        description='How long an address is given: seconds, "10m", "12h", "7d" or "infinite".',
        examples=["12h"],
    )


class TftpKeys(Section):
    """TFTP."""

    port: Port = Field(default=69, description="UDP port of requests.")
    max_blksize: int = Field(
        default=1468, ge=8, le=65464, description="Largest block in bytes (RFC 2348). 1468 fits an Ethernet frame."
    )
    max_windowsize: int = Field(
        default=16,
        ge=1,
        le=65535,
        description="Most blocks sent without waiting (RFC 7440), to clients that ask for it.",
    )
    single_port: bool = Field(
        default=False, description="Send files from the request port itself, for firewalls that do not follow TFTP."
    )
    allow_write: bool = Field(default=False, description="Let clients write files into server.root.")
    ignore_case: bool = Field(default=False, description="Find files in whatever case they are asked for.")


class HttpKeys(Section):
    """HTTP."""

    port: Port = Field(default=80, description="TCP port of plain HTTP, which boot firmware needs, also beside HTTPS.")
    tls_port: Port = Field(default=443, description="TCP port of HTTPS; open only when there is a certificate.")
    tls_cert: PathText | None = Field(
        default=None,
        description="Certificate (PEM, with those that signed it): HTTPS is served too. URLs stay http unless server.url is https.",
        examples=["server.pem"],
    )
    tls_key: PathText | None = Field(
        default=None, description="Its private key (PEM, without a password).", examples=["server.key"]
    )


class BootKeys(Section):
    """What machines boot."""

    unknown: str = Field(
        default="ignore",
        description="Machines that no [[host]] names: ignore (no boot file), local (their disk), menu (of profiles), or a profile.",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Starts of an installer without a reported end before the machine is stopped.",
    )
    loader: LoaderKeys = Field(default=LoaderKeys(), description="Boot loader for each kind of firmware.")
    exit: LocalExit = Field(
        default=Exit.AUTO,
        description="How machines get to their disk: auto (as suits the loader), disk (it starts the disk itself), next (the firmware "
        "goes on in its boot order).",
        examples=["auto"],
    )
    timeout: TimeoutKeys = Field(default=TimeoutKeys(), description="How long each stage of an installation may last.")
    answer_window: Duration = Field(
        default=14400,
        description="How long an answer file may be read after its machine was given the boot text that names it.",
        examples=["4h"],
    )
    answer_reads: int = Field(
        default=20, ge=1, le=10000, description="How often it may be read until the machine is given that text anew."
    )


class DefaultsKeys(Section):
    """What holds for every profile that says nothing else."""

    vars: Variables = Field(
        default_factory=dict,
        description="Variables for templates, under those of the profiles.",
        examples=[{"ntp": "10.0.0.1"}],
    )
    kickstart: Variables = Field(
        default_factory=dict,
        description="Keys of [profile.kickstart], under those of the profiles that have some.",
        examples=[{"timezone": "Europe/Berlin"}],
    )


class ProfileKeys(Section):
    """Something to install or boot. Repeat it for each."""

    name: Name = Field(description="By which hosts refer to it; part of its paths and URLs.", examples=["alma9"])
    source: Sources | None = Field(
        default=None,
        description="The install tree: an ISO image or a directory, which are served in place, or an URL. "
        'Of several architectures a table: {x64 = "...", arm64 = "..."}.',
        examples=["AlmaLinux-9.4-x86_64-dvd.iso"],
    )
    kernel: PathText | None = Field(
        default=None,
        description="Kernel, relative to source or else to this file. Unset: the one of the install tree (.treeinfo, images/pxeboot).",
        examples=["images/pxeboot/vmlinuz"],
    )
    initrd: PathTexts = Field(
        default_factory=list,
        description="Initial RAM disk, or a list. Unset together with kernel: the one beside that kernel.",
        examples=["images/pxeboot/initrd.img"],
    )
    args: str = Field(default="", description="Kernel arguments, a template.", examples=["inst.text console=ttyS0"])
    answer: PathText | None = Field(
        default=None,
        description='Template of the answer file (a kickstart, say), or "kickstart" for one made of data, or "discovery" for a '
        "script by which what is booted tells the server what the machine is. "
        "Unset: the latter where there is a [profile.kickstart].",
        examples=["alma9.ks"],
    )
    verbatim: bool = Field(default=False, description="The answer file is taken as it is: nothing in it is a template.")
    reports: bool = Field(
        default=True,
        description="A kickstart in which urls.installed does not occur gets sections at its end that report to the server.",
    )
    kickstart: Variables = Field(
        default_factory=dict,
        description="The installation as data, see [profile.kickstart]; a template sees it rendered.",
        examples=[{"root_password": "$6$...", "packages": ["vim"]}],
    )
    vars: Variables = Field(
        default_factory=dict, description="Variables for templates.", examples=[{"packages": ["@core", "vim"]}]
    )
    loader: LoaderKeys = Field(default=LoaderKeys(), description="Boot loaders, where they differ from boot.loader.")


class HostKeys(Section):
    """A machine. Repeat it for each. One of mac, uuid and serial is needed."""

    mac: Macs = Field(
        default_factory=tuple,
        description="Hardware address of the network card it boots from, or a list when it may boot from several. Its state is kept "
        "under the first: add others behind it. Its address goes to the card that boots.",
        examples=["52:54:00:12:34:56"],
    )
    uuid: Uuid | None = Field(
        default=None, description="SMBIOS UUID.", examples=["4c4c4544-0042-3510-8058-c7c04f4a4e32"]
    )
    serial: str | None = Field(default=None, description="SMBIOS serial number.", examples=["CN7475158R0123"])
    name: Domain | None = Field(
        default=None, description="Host name. Unset: made of what identifies it.", examples=["web01"]
    )
    profile: str | None = Field(
        default=None, description="What it installs. Unset: it boots its disk.", examples=["alma9"]
    )
    address: Address | None = Field(
        default=None, description="Its address, always. Unset: one of the pool.", examples=["10.0.0.11"]
    )
    exit: LocalExit | None = Field(
        default=None, description="How it gets to its disk. Unset: boot.exit.", examples=["next"]
    )
    vars: Variables = Field(
        default_factory=dict,
        description="Variables for templates, over those of the profile.",
        examples=[{"disk": "sda"}],
    )
    kickstart: Variables = Field(
        default_factory=dict,
        description="Keys of [profile.kickstart], over those of the profile.",
        examples=[{"disk": {"use": ["sda"]}}],
    )
    loader: LoaderKeys = Field(default=LoaderKeys(), description="Boot loaders, where they differ from the profile's.")


SECTIONS: dict[str, type[Section]] = {
    "server": ServerKeys,
    "dhcp": DhcpKeys,
    "dhcp.subnet": SubnetKeys,
    "tftp": TftpKeys,
    "http": HttpKeys,
    "boot": BootKeys,
    "defaults": DefaultsKeys,
    "profile": ProfileKeys,
    **{name: model for name, model, _ in tables_in("profile.kickstart", KickstartKeys)},
    "host": HostKeys,
}
"""The tables in the order in which they are shown."""

LISTS = (
    "dhcp.subnet",
    "profile",
    *(name for name, _, listed in tables_in("profile.kickstart", KickstartKeys) if listed),
    "host",
)
"""Those written with double brackets, once for each entry."""
