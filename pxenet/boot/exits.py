"""How a boot loader hands a machine to its local disk: one table, by loader and by what is wanted.

What each line does is measured in the lab (``tools/lab --all``), with firmware of both kinds:

| | auto | disk | next |
|---|---|---|---|
| PXELINUX, BIOS | the BIOS tries its next device | boot sector of the first disk | INT 18h: the same by another way |
| syslinux.efi | a load error: UEFI goes on with its next entry | not there | as auto |
| iPXE, BIOS | first disk, else as next | boot sector of the first disk | back to the BIOS, which tries its next device |
| iPXE, UEFI | error: UEFI goes on with its next entry | as auto | as auto |
| GRUB, BIOS | boot sector of the first disk | as auto | INT 18h: the BIOS tries its next device |
| GRUB, UEFI | the boot loader that it finds on a disk | as auto | the firmware's menu; Red Hat's builds: its next entry |

Success ends UEFI's list of entries in its menu, so what shall lead to the next one must be an error (EDK2 ``BdsEntry.c``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pxenet.model import Exit

VENDORS = ("debian", "ubuntu", "redhat", "fedora", "centos", "almalinux", "rocky", "ol", "opensuse", "sles")
"""Directories on EFI system partitions that hold ``shim<arch>.efi`` and ``grub<arch>.efi``."""

# Vendor directories before BOOT: the fallback loader in BOOT (fbx64.efi) may rewrite the firmware's boot entries and reset.
# GRUB 2.06 never comes back from `exit` to the next boot entry, it ends in the firmware's menu; so the disk is searched. The
# modules are part of the signed images; a netdir of one's own loads them. FAT ignores case. What is chained is told that it comes from
# the device in $root, whatever device its name has: shim and GRUB on the disk look for their next files there.
_GRUB_DISK = """\
  if [ "$grub_platform" = pc ]; then
    set root=hd0
    chainloader +1
    boot
  fi
  echo 'Looking for a boot loader on the local disks; names that are not there are told as errors.'
  set efiarch=x64
  if [ "$grub_cpu" = i386 ]; then set efiarch=ia32; fi
  if [ "$grub_cpu" = arm64 ]; then set efiarch=aa64; fi
  insmod part_gpt
  insmod part_msdos
  insmod fat
  for dir in @DIRS@; do
    for loader in shim grub; do
      if search --no-floppy --file --set=root /EFI/$dir/$loader$efiarch.efi; then
        chainloader /EFI/$dir/$loader$efiarch.efi
        boot
      fi
    done
  done
  for file in /EFI/Microsoft/Boot/bootmgfw.efi /EFI/systemd/systemd-boot$efiarch.efi /EFI/BOOT/boot$efiarch.efi; do
    if search --no-floppy --file --set=root $file; then
      chainloader $file
      boot
    fi
  done
  echo 'No boot loader found on a local disk.'
  sleep 5
  exit""".replace("@DIRS@", " ".join(VENDORS)).split("\n")

_IPXE_DISK = [
    "iseq ${platform} efi && goto next-boot-entry ||",
    "sanboot --no-describe --drive 0x80 || exit",
    ":next-boot-entry",
    "exit 1",
]

GRUB: Mapping[Exit, list[str]] = MappingProxyType({Exit.AUTO: _GRUB_DISK, Exit.DISK: _GRUB_DISK, Exit.NEXT: ["  exit"]})

# BIOS: drive 0x80 is the first disk; where that fails, leaving iPXE lets the BIOS try its next device. On UEFI the drives that sanboot
# numbers are those of SANs: tried on OVMF with the disk's own boot loader named, it finds none (iPXE of Debian 12).
IPXE: Mapping[Exit, list[str]] = MappingProxyType(
    {Exit.AUTO: _IPXE_DISK, Exit.DISK: _IPXE_DISK, Exit.NEXT: ["iseq ${platform} efi && exit 1 || exit"]}
)

# 0 returns to the BIOS, which tries its next device; measured on SeaBIOS also with an iPXE ROM below. For syslinux.efi any number is a
# load error.
PXELINUX: Mapping[Exit, list[str]] = MappingProxyType(
    {
        Exit.AUTO: ["  LOCALBOOT 0"],
        Exit.DISK: ["  COM32 chain.c32", "  APPEND hd0"],
        Exit.NEXT: ["  LOCALBOOT -1"],
    }
)
