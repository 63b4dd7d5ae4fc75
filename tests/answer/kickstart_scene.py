"""What kickstart data can say, feature by feature, and which releases cannot be told which."""

from __future__ import annotations

from collections.abc import Mapping

from pxenet.answer.context import HostNetwork
from pxenet.answer.kickstart import Version

NET = HostNetwork(0x0A00000B, 0xFFFFFF00, 0x0A000001, (0x0A000001,), "lab.example")
PASSWORD = {"root_password": "$6$salt$hash"}
KEY = "ssh-ed25519 AAAAC3Nz ops@example.org"

HANDLERS = {
    Version.RHEL6: ("RHEL6",),
    Version.RHEL7: ("RHEL7",),
    Version.RHEL8: ("RHEL8",),
    Version.RHEL9: ("RHEL9",),
    Version.RHEL10: ("RHEL10",),
    Version.FEDORA: ("F40", "F41", "F42", "F43", "F44", "F45"),
}
"""The parsers that stand for each dialect."""

FEATURES: dict[str, Mapping[str, object]] = {
    "plain": {},
    "languages": {"languages": ["de_DE.UTF-8", "fr_FR.UTF-8"]},
    "layouts": {"keyboard": "de", "layouts": ["de", "us"]},
    "local clock": {"timezone": "Europe/Berlin", "utc": False},
    "ntp": {"ntp": ["ntp1.example", "ntp2.example"]},
    "graphical": {"mode": "graphical", "desktop": True, "firstboot": True},
    "cmdline": {"mode": "cmdline", "end": "poweroff"},
    "root key": {"root_password": "", "root_ssh_keys": [KEY]},
    "users": {
        "group": [{"name": "staff", "gid": 2000}],
        "user": [
            {"name": "ops", "password": "$6$a$b", "groups": ["wheel", "staff"], "uid": 1500, "shell": "/bin/bash"},
            {"name": "app", "ssh_keys": [KEY], "home": "/srv/app", "full_name": "The Application"},
            {"name": "nobody2", "locked": True},
        ],
    },
    "user gid": {"user": [{"name": "a", "password": "$6$a$b", "gid": 1500}]},
    "packages": {"packages": ["vim", "-nano", "@^minimal-environment"], "package_options": ["--ignoremissing"]},
    "weak": {"package_options": ["--exclude-weakdeps"], "core": False, "packages": ["bash"]},
    "selinux": {"selinux": "permissive", "services": ["chronyd", "-kdump"]},
    "firewall": {"firewall": {"services": ["ssh", "http"], "ports": ["8080:tcp", "53:udp"], "trust": ["eth1"]}},
    "no firewall": {"firewall": {"enabled": False}},
    "bootloader": {
        "bootloader": {"append": 'console=ttyS0,115200 x="y z"', "timeout": 0, "location": "mbr", "disk": "sda"}
    },
    "bootloader password": {"bootloader": {"password": "grub.pbkdf2.sha512.10000.AB"}},
    "kdump": {"kdump": "128"},
    "static": {"network": [{"method": "static"}]},
    "static by hand": {
        "network": [
            {"device": "eth0", "method": "static", "address": "10.1.0.5/22", "gateway": "10.1.0.1", "mtu": 9000}
        ]
    },
    "two cards": {
        "network": [{}, {"device": "eth1", "method": "static", "address": "10.2.0.5/24", "dns": ["10.2.0.1"]}]
    },
    "ipv6": {"network": [{"ipv6": "auto"}, {"device": "eth1", "method": "none", "ipv6": "fd00::5/64"}]},
    "bond": {
        "network": [{"device": "bond0", "bond": ["eth0", "eth1"], "bond_options": "mode=active-backup,miimon=100"}]
    },
    "bridge": {"network": [{"device": "br0", "bridge": ["eth0"], "bridge_options": "stp=no", "method": "static"}]},
    "vlan": {"network": [{}, {"device": "eth0", "vlan": 100}]},
    "vlan name": {"network": [{}, {"device": "eth0", "vlan": 100, "vlan_name": "vlan100"}]},
    "one disk": {"disk": {"use": ["sda"]}},
    "gpt": {"disk": {"use": ["sda"], "label": "gpt"}},
    "keep": {"disk": {"wipe": "none"}, "partition": [{"mount": "/", "size": "10G", "disk": "sda"}]},
    "plain layout": {"disk": {"scheme": "plain", "filesystem": "xfs"}},
    "thin": {"disk": {"scheme": "thinp", "home": False}},
    "btrfs": {"disk": {"scheme": "btrfs"}},
    "no swap": {"disk": {"swap": False}},
    "encrypted": {"disk": {"encrypt": True, "passphrase": "open sesame"}},
    "partitions": {
        "disk": {"use": ["sda", "sdb"]},
        "partition": [
            {"mount": "/boot", "size": "1G", "filesystem": "ext4", "disk": "sda", "primary": True},
            {"mount": "swap", "size": "recommended"},
            {"mount": "/", "size": "10G", "max_size": "50G", "label": "root", "mount_options": "noatime"},
            {"mount": "/srv", "size": "rest", "disk": "sdb"},
        ],
    },
    "mkfs": {"partition": [{"mount": "/", "size": "rest", "mkfs_options": "-m 1"}]},
    "lvm": {
        "disk": {"use": ["sda"]},
        "volume_group": [{"name": "vg0"}],
        "partition": [
            {"mount": "/boot", "size": "1G"},
            {"mount": "/", "size": "20G", "group": "vg0"},
            {"mount": "swap", "size": "4G", "group": "vg0", "name": "swap"},
            {"mount": "/var/log", "size": "rest", "group": "vg0", "filesystem": "xfs"},
        ],
    },
    "raid": {
        "disk": {"use": ["sda", "sdb"]},
        "partition": [{"mount": "/boot", "size": "1G", "raid": "1"}, {"mount": "/", "size": "rest", "raid": "1"}],
    },
    "repository": {
        "repository": [
            {"name": "extra", "url": "http://10.0.0.1/extra", "cost": 100, "include": ["nginx*"], "exclude": ["a", "b"]}
        ]
    },
    "repository kept": {"repository": [{"name": "extra", "url": "http://10.0.0.1/extra", "install": True}]},
    "metalink": {"repository": [{"name": "extra", "metalink": "http://10.0.0.1/metalink"}]},
    "scripts": {
        "pre": "echo 'a # b' $HOME ${#x[@]} {{ x }} {% y %} {# z #}",
        "post": "cat <<E\n# %end is text here\nE\n",
        "script": [
            {"when": "post", "body": "print('#')", "interpreter": "/usr/bin/python3", "log": "/root/my log"},
            {"when": "post", "body": "cp /a /mnt/sysimage/b", "outside": True, "must_succeed": True},
            {"when": "pre", "body": "true"},
        ],
    },
    "on error": {"on_error": "journalctl | tail"},
    "hosts": {"etc_hosts": ["10.0.0.1 boot boot.example", "10.0.0.2 dns"]},
    "halt": {"end": "halt", "selinux": "disabled", "language": "de_DE.UTF-8", "services": ["-cups"]},
    "wipe linux": {"disk": {"use": ["sda"], "wipe": "linux"}},
    "msdos": {"disk": {"use": ["sda"], "label": "msdos"}},
    "layout by commands": {
        "disk": {"scheme": "none"},
        "commands": ["zerombr", "clearpart --all --initlabel", "autopart"],
    },
    "encrypted partitions": {
        "disk": {"use": ["sda", "sdb"], "passphrase": "open sesame"},
        "volume_group": [{"name": "vg0", "disks": ["sdb"], "size": "100G"}],
        "partition": [
            {"mount": "/boot", "size": "1G", "disk": "sda"},
            {"mount": "/srv", "size": "10G", "disk": "sda", "encrypt": True},
            {"mount": "/", "size": "20G", "group": "vg0", "encrypt": True},
            {"mount": "/data", "size": "5G", "raid": "0", "encrypt": True},
        ],
    },
    "prepboot": {"partition": [{"mount": "prepboot", "size": "8M"}, {"mount": "/", "size": "rest"}]},
    "biosboot": {"partition": [{"mount": "biosboot", "size": "1M"}, {"mount": "/", "size": "rest"}]},
    "btrfs partition": {"partition": [{"mount": "/", "size": "rest", "filesystem": "btrfs"}]},
    "volume label": {
        "volume_group": [{"name": "vg0"}],
        "partition": [{"mount": "/", "size": "20G", "group": "vg0", "label": "root", "mkfs_options": "-m 1"}],
    },
    "raid options": {
        "disk": {"use": ["sda", "sdb"]},
        "partition": [{"mount": "/", "size": "20G", "raid": "1", "label": "root", "mkfs_options": "-m 1"}],
    },
    "not at start": {"network": [{}, {"device": "eth1", "start": False}]},
    "no ipv6": {"network": [{"ipv6": "none"}]},
    "mirrors": {
        "repository": [{"name": "extra", "mirror_list": "http://10.0.0.1/list", "proxy": "http://10.0.0.1:3128"}]
    },
    "bootloader partition": {"bootloader": {"location": "partition"}},
    "no bootloader": {"bootloader": {"location": "none"}},
    "kdump off": {"kdump": "off"},
    "kdump auto": {"kdump": "auto"},
    "pre-install": {"script": [{"when": "pre-install", "body": "true"}]},
    "on error as script": {"script": [{"when": "onerror", "body": "true"}]},
    "commands": {"commands": ["iscsiname iqn.2024-01.org.example:x"]},
}

REFUSED: dict[tuple[str, str], str] = {
    ("languages", "rhel6"): "languages",
    ("layouts", "rhel6"): "layouts",
    ("ntp", "rhel6"): "ntp",
    ("user gid", "rhel6"): "user[1]",
    ("weak", "rhel6"): "package_options",
    ("weak", "rhel7"): "package_options",
    ("weak", "rhel8"): "package_options",
    ("bridge", "rhel6"): "network[1]",
    ("vlan name", "rhel6"): "network[2]",
    ("gpt", "rhel6"): "disk.label",
    ("plain layout", "rhel6"): "disk",
    ("thin", "rhel6"): "disk",
    ("btrfs", "rhel6"): "disk",
    ("btrfs", "rhel8"): "disk",
    ("btrfs", "rhel9"): "disk",
    ("btrfs", "rhel10"): "disk",
    ("no swap", "rhel6"): "disk",
    ("no swap", "rhel7"): "disk",
    ("mkfs", "rhel6"): "partition[1]",
    ("repository kept", "rhel6"): "repository[1]",
    ("metalink", "rhel6"): "repository[1]",
    ("metalink", "rhel7"): "repository[1]",
    ("msdos", "rhel6"): "disk.label",
    ("btrfs partition", "rhel8"): "partition[1]",
    ("btrfs partition", "rhel9"): "partition[1]",
    ("btrfs partition", "rhel10"): "partition[1]",
    ("volume label", "rhel6"): "partition[1]",
    ("raid options", "rhel6"): "partition[1]",
    ("pre-install", "rhel6"): "script[1].body",
    ("on error as script", "rhel6"): "script[1].body",
    ("on error as script", "rhel7"): "script[1].body",
    ("on error", "rhel6"): "on_error",
    ("on error", "rhel7"): "on_error",
}
"""(feature, release) → the key that says why not. Everything else is rendered."""
