"""Whether a file is a boot program that this firmware starts: by its first bytes, as the firmware itself finds out.

PE/COFF and its machine types: UEFI §2.1.1, Microsoft PE format. A BIOS jumps into whatever it has loaded.
"""

from __future__ import annotations

HEAD_BYTES = 4096

_MACHINES = {0x8664: "x64", 0x014C: "ia32", 0xAA64: "aa64", 0x01C2: "arm", 0x5064: "riscv64", 0x6264: "loongarch64"}
_WORDS = {"x64": "x64 UEFI", "ia32": "ia32 UEFI", "aa64": "arm64 UEFI", "bios": "x86 BIOS"}
_MAGIC = (
    (b"\x7fELF", "an ELF program"), (b"\x1f\x8b", "a gzip file"), (b"#!ipxe", "an iPXE script"), (b"<", "a web page"),
    (b"PK\3\4", "a zip archive"),
)  # fmt: skip


def unfit(name: str, head: bytes, arch: str) -> str:
    """Why firmware of that architecture (``x64``, ``ia32``, ``aa64``, ``bios``) does not start the file; empty: it does."""
    firmware = _WORDS.get(arch, arch)
    machine = _machine(head)
    if arch == "bios":
        if machine is not None:
            return f"{name} is a program for UEFI: an x86 BIOS would jump into its header and hang"
        what = _what(head)
        return f"{name} is no boot program for x86 BIOS, but {what}" if what else ""
    if machine is None:
        return f"{name} is no EFI program{_but(head)}: {firmware} refuses to start it (Load Error, Unsupported)"
    if machine != arch:
        return f"{name} is a program for {_WORDS.get(machine, machine)}: {firmware} refuses to start it (Unsupported)"
    return ""


def _machine(head: bytes) -> str | None:
    """The machine of a PE/COFF image; None: it is none."""
    if not head.startswith(b"MZ"):
        return None
    at = int.from_bytes(head[60:64], "little")
    if head[at : at + 4] != b"PE\0\0":
        return None
    number = int.from_bytes(head[at + 4 : at + 6], "little")
    return _MACHINES.get(number, f"machine type {number:#06x}")


def _what(head: bytes) -> str:
    if not head:
        return "an empty file"
    return next((words for magic, words in _MAGIC if head.startswith(magic)), "")


def _but(head: bytes) -> str:
    what = _what(head)
    return f" but {what}" if what else " (a program for x86 BIOS?)"
