"""An existing kickstart as data: what has a key becomes that key, other commands are kept as they are, and every line that was not
understood is named. The opposite of ``commands``: what was imported renders to the same installation.

Must not know files, nor how lines are spelled.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pxenet.answer.kickstart.checks import SCRIPTS
from pxenet.answer.kickstart.imported_storage import STORAGE, storage
from pxenet.answer.kickstart.imported_words import NotTakenError, Words, parts, split


@dataclass(frozen=True, slots=True)
class Left:
    """A line that did not become a key, and why."""

    line: int
    text: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}: {self.why}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a kickstart says. ``data`` has keys of ``[profile.kickstart]``."""

    data: Mapping[str, object]
    left: Sequence[Left]
    source: str = ""
    """URL of the install tree: ``profile.source``."""
    hostname: str = ""
    """``host.name``."""


@dataclass(slots=True)
class _Reading:
    data: dict[str, object] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    source: str = ""
    hostname: str = ""
    storage: list[tuple[int, str, Words]] = field(default_factory=list)
    keyed: dict[str, dict[str, int]] = field(default_factory=dict)
    """SSH keys by user, each with its line."""
    line: int = 0
    """Where the command stands that is being read."""

    def add(self, key: str, value: object) -> None:
        found = self.data.setdefault(key, [])
        assert isinstance(found, list)
        found.append(value)

    def table(self, key: str, values: Mapping[str, object]) -> None:
        found = self.data.setdefault(key, {})
        assert isinstance(found, dict)
        found.update({name: value for name, value in values.items() if value not in ("", [], None)})


def read(text: str) -> Imported:
    """The data of a kickstart. Never fails: what cannot be understood is in ``left``."""
    reading = _Reading()
    for number, opening, body in parts(text):
        before, reading.line = copy.deepcopy(reading.data), number
        try:
            if opening.startswith("%"):
                _section(reading, opening, body)
            else:
                _command(reading, number, opening)
        except NotTakenError as problem:
            reading.data = before  # a command that is kept whole is no key too, not even with the words that have one
            _keep(reading, number, opening, str(problem))
        except ValueError as error:
            reading.data = before
            reading.left.append(Left(number, opening, f"cannot be read: {error}"))
    _settle(reading)
    return Imported(reading.data, reading.left, reading.source, reading.hostname)


def _command(reading: _Reading, number: int, line: str) -> None:
    words = split(line)
    words.command = {"partition": "part"}.get(words.command, words.command)
    if words.command in STORAGE:
        reading.storage.append((number, line, words))
        return
    if words.command in _IMPLIED:
        return
    reader = _COMMANDS.get(words.command)
    if reader is None:
        raise NotTakenError("has no key")
    reader(reading, words)
    words.all_taken()


def _keep(reading: _Reading, number: int, opening: str, why: str) -> None:
    """A command is kept as it is; a section cannot be."""
    if opening.startswith("%"):
        reading.left.append(Left(number, opening, why))
        return
    reading.add("commands", opening)
    reading.left.append(Left(number, opening, f"{why}; kept as it is in commands"))


_IMPLIED = frozenset({"install", "zerombr", "eula", "skipx"})
"""Written anyway where the release wants them, or what every release does by itself."""


def _auth(reading: _Reading, words: Words) -> None:
    """What every release does by itself has no key; everything else is kept."""
    words.flag("enableshadow", "useshadow")
    if words.options.get("passalgo") == "sha512":
        words.take("passalgo")


def _mode(reading: _Reading, words: Words) -> None:
    words.flag("non-interactive")
    if words.command != "text":
        reading.data["mode"] = words.command


def _end(reading: _Reading, words: Words) -> None:
    words.flag("eject")
    end = {"shutdown": "poweroff"}.get(words.command, words.command)
    if end != "reboot":
        reading.data["end"] = end


def _url(reading: _Reading, words: Words) -> None:
    if "url" not in words.options:
        raise NotTakenError("only an URL can be a profile's source")
    reading.source = words.take("url")


def _nfs(reading: _Reading, words: Words) -> None:
    server, path, opts = words.take("server"), words.take("dir"), words.take("opts")
    reading.source = "nfs:" + (f"{opts}:" if opts else "") + f"{server}:{path}"


def _repo(reading: _Reading, words: Words) -> None:
    values: dict[str, object] = {
        "name": words.take("name"),
        "url": words.take("baseurl"),
        "mirror_list": words.take("mirrorlist"),
        "metalink": words.take("metalink"),
        "include": words.listed("includepkgs"),
        "exclude": words.listed("excludepkgs"),
        "proxy": words.take("proxy"),
        "install": words.flag("install") or None,
        "cost": int(words.take("cost") or 0) or None,
    }
    reading.add("repository", {name: value for name, value in values.items() if value})


def _lang(reading: _Reading, words: Words) -> None:
    reading.data["language"] = words.whole()
    if further := words.listed("addsupport"):
        reading.data["languages"] = further


def _keyboard(reading: _Reading, words: Words) -> None:
    layouts = words.listed("xlayouts")
    console = words.take("vckeymap") or words.whole() or (layouts[0] if layouts else "us")
    reading.data["keyboard"] = console.strip("'\"")
    if layouts:
        reading.data["layouts"] = layouts


def _timezone(reading: _Reading, words: Words) -> None:
    reading.data["timezone"] = words.whole()
    if not words.flag("utc", "isUtc"):
        reading.data["utc"] = False
    for server in words.listed("ntpservers"):
        reading.add("ntp", server)


def _timesource(reading: _Reading, words: Words) -> None:
    if "ntp-server" not in words.options:
        raise NotTakenError("only --ntp-server has a key")
    reading.add("ntp", words.take("ntp-server"))


def _rootpw(reading: _Reading, words: Words) -> None:
    hashed, locked = words.flag("iscrypted"), words.flag("lock")
    words.flag("plaintext")
    password = words.whole()
    if password and not hashed:
        words.options.clear()
        raise _SecretError(
            "a password in the clear is not taken: make a hash with openssl passwd -6, and write root_password"
        )
    if password and not locked:
        reading.data["root_password"] = password


class _SecretError(ValueError):
    """Not to be kept anywhere."""


def _user(reading: _Reading, words: Words) -> None:
    hashed, locked = words.flag("iscrypted"), words.flag("lock")
    words.flag("plaintext")
    password = words.take("password")
    if password and not hashed:
        raise _SecretError(f"user {words.take('name')} has a password in the clear; make a hash with openssl passwd -6")
    values: dict[str, object] = {
        "name": words.take("name"),
        "password": password,
        "groups": words.listed("groups"),
        "uid": int(words.take("uid") or 0),
        "gid": int(words.take("gid") or 0),
        "home": words.take("homedir"),
        "shell": words.take("shell"),
        "full_name": words.take("gecos"),
        "locked": locked,
    }
    reading.add("user", {name: value for name, value in values.items() if value})


def _group(reading: _Reading, words: Words) -> None:
    values: dict[str, object] = {"name": words.take("name")}
    if gid := words.take("gid"):
        values["gid"] = int(gid)
    reading.add("group", values)


def _sshkey(reading: _Reading, words: Words) -> None:
    user = words.take("username") or "root"
    reading.keyed.setdefault(user, {})[words.whole()] = reading.line


def _selinux(reading: _Reading, words: Words) -> None:
    for state in ("permissive", "disabled", "enforcing"):
        if words.flag(state) and state != "enforcing":
            reading.data["selinux"] = state


def _firewall(reading: _Reading, words: Words) -> None:
    off = words.flag("disabled", "disable")
    words.flag("enabled", "enable")
    services = words.listed("service")
    services += [name for name in ("ssh", "http", "ftp", "smtp") if words.flag(name) and name not in services]
    values: dict[str, object] = {"ports": words.listed("port"), "trust": words.listed("trust")}
    if off:
        values["enabled"] = False
    elif services != ["ssh"]:
        values["services"] = services
    values = {name: value for name, value in values.items() if value or name in ("enabled", "services")}
    values = {name: value for name, value in values.items() if value != [] or name == "services"}
    if values:
        reading.data["firewall"] = values


def _services(reading: _Reading, words: Words) -> None:
    names = [*words.listed("enabled"), *(f"-{name}" for name in words.listed("disabled"))]
    reading.data["services"] = names


def _firstboot(reading: _Reading, words: Words) -> None:
    words.flag("disable", "disabled")
    if words.flag("enable", "enabled"):
        reading.data["firstboot"] = True


def _xconfig(reading: _Reading, words: Words) -> None:
    words.flag("startxonboot")
    reading.data["desktop"] = True


def _bootloader(reading: _Reading, words: Words) -> None:
    timeout = words.take("timeout")
    words.flag("iscrypted")
    values: dict[str, object] = {
        "append": words.take("append"),
        "disk": words.take("boot-drive") or words.take("driveorder"),
        "location": words.take("location"),
        "password": words.take("password"),
    }
    reading.table("bootloader", values)
    if timeout and timeout != "1":
        reading.table("bootloader", {"timeout": int(timeout)})
    if not reading.data["bootloader"]:
        del reading.data["bootloader"]


def _network(reading: _Reading, words: Words) -> None:
    reading.hostname = words.take("hostname") or reading.hostname
    words.flag("activate")
    method = words.take("bootproto") or ("none" if words.flag("noipv4") else "dhcp")
    ip, netmask, gateway = words.take("ip"), words.take("netmask"), words.take("gateway")
    device = words.take("device")
    if not gateway and method == "static":
        words.flag("nodefroute")  # is written where there is no gateway
    if not words.options and not device and method == "dhcp":
        return  # the host name alone
    values: dict[str, object] = {
        "device": "" if device in ("link", "bootif") else device,
        "method": "" if method == "dhcp" else method,
        "gateway": gateway,
        "dns": words.listed("nameserver"),
        "ipv6": "none" if words.flag("noipv6") else words.take("ipv6"),
        "mtu": int(words.take("mtu") or 0),
        "bond": words.listed("bondslaves"),
        "bond_options": words.take("bondopts"),
        "bridge": words.listed("bridgeslaves"),
        "bridge_options": words.take("bridgeopts"),
        "vlan": int(words.take("vlanid") or 0),
        "vlan_name": words.take("interfacename"),
    }
    if ip:
        values["address"] = f"{ip}/{netmask_prefix(netmask)}"
    made = {name: value for name, value in values.items() if value}
    if words.take("onboot") in ("no", "off", "false", "0"):
        made["start"] = False
    reading.add("network", made)


def netmask_prefix(netmask: str) -> int:
    """The length of 255.255.255.0's prefix. Raises ValueError."""
    octets = [int(part) for part in netmask.split(".")]
    bits = "".join(f"{octet:08b}" for octet in octets)
    if len(octets) != 4 or len(bits) != 32 or "01" in bits:
        raise ValueError(f'"{netmask}" is no netmask')
    return bits.count("1")


_COMMANDS: Mapping[str, Callable[[_Reading, Words], None]] = {
    "auth": _auth,
    "authconfig": _auth,
    "text": _mode,
    "graphical": _mode,
    "cmdline": _mode,
    "reboot": _end,
    "poweroff": _end,
    "halt": _end,
    "shutdown": _end,
    "url": _url,
    "nfs": _nfs,
    "repo": _repo,
    "lang": _lang,
    "keyboard": _keyboard,
    "timezone": _timezone,
    "timesource": _timesource,
    "rootpw": _rootpw,
    "user": _user,
    "group": _group,
    "sshkey": _sshkey,
    "selinux": _selinux,
    "firewall": _firewall,
    "services": _services,
    "firstboot": _firstboot,
    "xconfig": _xconfig,
    "bootloader": _bootloader,
    "network": _network,
}


def _section(reading: _Reading, opening: str, body: list[str]) -> None:
    words = split(opening)
    if words.command == "%packages":
        _packages(reading, opening, body)
    elif words.command == "%addon" and words.rest[:1] == ["com_redhat_kdump"]:
        reading.data["kdump"] = "off" if words.flag("disable") else words.take("reserve-mb") or "auto"
    elif words.command in SCRIPTS and words.command != "%traceback":
        _script(reading, words, "\n".join(body).rstrip("\n") + "\n")
    else:
        raise NotTakenError("has no key; put it into a template around {{ kickstart.text }}")


def _packages(reading: _Reading, opening: str, body: list[str]) -> None:
    options = shlex.split(opening, comments=True)[1:]
    if options:
        reading.data["package_options"] = options
    names = [line.split("#", 1)[0].strip() for line in body]
    packages = [name for name in names if name]
    if "@core" in packages:
        packages.remove("@core")
    else:
        reading.data["core"] = False
    if packages:
        reading.data["packages"] = packages


_SIMPLE = {"pre": "pre", "post": "post", "onerror": "on_error"}


def _script(reading: _Reading, words: Words, body: str) -> None:
    when = words.command[1:]
    values: dict[str, object] = {
        "outside": words.flag("nochroot"),
        "must_succeed": words.flag("erroronfail"),
        "interpreter": words.take("interpreter"),
        "log": words.take("log") or words.take("logfile"),
    }
    words.all_taken()
    made = {name: value for name, value in values.items() if value}
    key = _SIMPLE.get(when)
    if key and not made and key not in reading.data:
        reading.data[key] = body
    else:
        reading.add("script", {"when": when, "body": body, **made})


def _settle(reading: _Reading) -> None:
    """What belongs together but stood on several lines."""
    for user, keys in reading.keyed.items():
        users = reading.data.get("user", [])
        assert isinstance(users, list)
        owner = next((each for each in users if each["name"] == user), None)
        if user == "root":
            reading.data["root_ssh_keys"] = [*keys]
        elif owner is not None:
            owner["ssh_keys"] = [*keys]
            if "password" not in owner:
                owner.pop("locked", None)
        else:
            for each, at in keys.items():
                _keep(reading, at, f'sshkey --username={user} "{each}"', f"no user is called {user}")
    found, raw = storage([(line, words) for _, line, words in reading.storage])
    reading.data.update(found)
    for number, line, _ in reading.storage:
        if line in raw:
            _keep(reading, number, line, raw[line])
