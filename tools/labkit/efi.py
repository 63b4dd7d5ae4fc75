"""The smallest EFI program that proves a boot: it prints one line on the console and switches the machine off.

Written as bytes, so that the lab needs no cross compiler. UEFI 2.10: the system table (§4.3), OutputString (§12.4.3) and
ResetSystem (§8.5.1); the file is a PE32+ image (Microsoft PE format) with a single section.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_ALIGN = 0x1000  # of sections in memory
_FILE_ALIGN = 0x200
_SUBSYSTEM_EFI_APPLICATION = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A processor: the machine number in the file's head, the name firmware looks for, and the code.

    The code is called with (image handle, system table), and the text follows it directly as UTF-16.
    """

    machine: int
    file_name: str
    code: bytes


_X64 = bytes.fromhex(
    "4883ec28"  # sub rsp, 40          room for the callee, stack aligned
    "4889d3"  # mov rbx, rdx           system table
    "488b4b40"  # mov rcx, [rbx+64]    ConOut
    "488d151a000000"  # lea rdx, [rip+26] the text, which follows this code
    "ff5108"  # call [rcx+8]           OutputString(ConOut, text)
    "488b4358"  # mov rax, [rbx+88]    RuntimeServices
    "b902000000"  # mov ecx, 2         EfiResetShutdown
    "31d2"  # xor edx, edx             EFI_SUCCESS
    "4531c0"  # xor r8d, r8d           no data
    "4531c9"  # xor r9d, r9d
    "ff5068"  # call [rax+104]         ResetSystem
    "f4"  # hlt
    "ebfd"  # jmp back to hlt
)

_ARM64 = struct.pack(
    "<14I",
    0xAA0103F3,  # mov x19, x1         system table
    0xF9402260,  # ldr x0, [x19, #64]  ConOut
    0xF9400402,  # ldr x2, [x0, #8]    OutputString
    0x10000161,  # adr x1, +44         the text
    0xD63F0040,  # blr x2
    0xF9402E64,  # ldr x4, [x19, #88]  RuntimeServices
    0xF9403484,  # ldr x4, [x4, #104]  ResetSystem
    0xD2800040,  # mov x0, #2          EfiResetShutdown
    0xD2800001,  # mov x1, #0
    0xD2800002,  # mov x2, #0
    0xD2800003,  # mov x3, #0
    0xD63F0080,  # blr x4
    0x14000000,  # b .
    0xD503201F,  # nop: the text follows, 8-byte aligned
)

X64 = Target(0x8664, "BOOTX64.EFI", _X64)
ARM64 = Target(0xAA64, "BOOTAA64.EFI", _ARM64)


def program(text: str, target: Target = X64) -> bytes:
    """An EFI application that prints ``text`` as a line of its own and switches off."""
    section = target.code + f"\r\n{text}\r\n\0".encode("utf-16-le")
    raw_bytes = -(-len(section) // _FILE_ALIGN) * _FILE_ALIGN
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    # not "relocations stripped": the code is position independent and firmware may load it anywhere
    coff = struct.pack("<HHIIIHH", target.machine, 1, 0, 0, 0, 240, 0x0022)
    optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, raw_bytes, 0, 0, _ALIGN, _ALIGN)
    optional += struct.pack("<QII6HIIIIHH", 0, _ALIGN, _FILE_ALIGN, 0, 0, 0, 0, 0, 0, 0, 2 * _ALIGN, _FILE_ALIGN, 0,
                            _SUBSYSTEM_EFI_APPLICATION, 0)  # fmt: skip
    optional += struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16) + bytes(16 * 8)
    text_section = struct.pack(
        "<8sIIIIIIHHI", b".text", len(section), _ALIGN, raw_bytes, _FILE_ALIGN, 0, 0, 0, 0, 0xE0000020
    )
    head = dos + b"PE\0\0" + coff + optional + text_section
    return head.ljust(_FILE_ALIGN, b"\0") + section.ljust(raw_bytes, b"\0")
