"""Values by which a client says what it is: its identifier, machine id, network interface, user class, enterprise.

Shapes like those of ``shapes``, with a record of their own each (RFC 2132 §9.14, 3004, 3925, 4361, 4578).
"""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.wire.reader import Reader, WireError
from pxenet.wire.shapes import Shape, Value, counted, int_bytes, items_of


@dataclass(frozen=True, slots=True)
class ClientId:
    """Option 61 (RFC 2132 §9.14): the type octet is a hardware type, 0 for other things, 255 for RFC 4361's IAID and DUID."""

    type: int
    data: bytes

    @property
    def iaid(self) -> int | None:
        """Identity association id, when the type is 255."""
        return int.from_bytes(self.data[:4], "big") if self._is_node else None

    @property
    def duid(self) -> bytes | None:
        """DHCP unique identifier, when the type is 255: a 16-bit type, then what that type says."""
        return self.data[4:] if self._is_node else None

    @property
    def _is_node(self) -> bool:
        return self.type == 255 and len(self.data) > 4


def _parse_client_id(reader: Reader) -> Value:
    kind = reader.u8("type")
    if not reader.left:
        raise WireError(reader.offset, "client identifier", "nothing after the type")
    return ClientId(kind, reader.rest())


def _serialize_client_id(value: Value) -> bytes:
    if not isinstance(value, ClientId):
        raise TypeError(f"wants a ClientId, not {value!r}")
    return int_bytes(value.type, 8) + value.data


CLIENT_ID = Shape("client identifier", _parse_client_id, _serialize_client_id)


@dataclass(frozen=True, slots=True)
class MachineId:
    """Option 97 (RFC 4578 §2.3): type 0 and a UUID of 16 bytes, in the order of the wire."""

    uuid: bytes
    type: int = 0


def _parse_machine_id(reader: Reader) -> Value:
    at = reader.offset
    kind = reader.u8("type")
    if kind != 0:
        raise WireError(at, "type", f"{kind} is not 0, the only one defined")
    return MachineId(reader.take(16, "UUID"), kind)


def _serialize_machine_id(value: Value) -> bytes:
    if not isinstance(value, MachineId):
        raise TypeError(f"wants a MachineId, not {value!r}")
    if len(value.uuid) != 16:
        raise ValueError(f"a UUID has 16 bytes, not {len(value.uuid)}")
    return int_bytes(value.type, 8) + value.uuid


MACHINE_ID = Shape("machine id", _parse_machine_id, _serialize_machine_id)


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """Option 94 (RFC 4578 §2.2): type 1 is UNDI, with its version."""

    type: int
    major: int
    minor: int


def _parse_nic(reader: Reader) -> Value:
    return NetworkInterface(reader.u8("type"), reader.u8("major"), reader.u8("minor"))


def _serialize_nic(value: Value) -> bytes:
    if not isinstance(value, NetworkInterface):
        raise TypeError(f"wants a NetworkInterface, not {value!r}")
    return int_bytes(value.type, 8) + int_bytes(value.major, 8) + int_bytes(value.minor, 8)


NIC = Shape("network interface", _parse_nic, _serialize_nic)


# -- user class (RFC 3004) and vendor-identifying options (RFC 3925) ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UserClass:
    """Option 77. RFC 3004 wants a list of (length, bytes); iPXE and others send the bare bytes of one class."""

    classes: tuple[bytes, ...]
    bare: bool = False


def _parse_user_class(reader: Reader) -> Value:
    """Take the list form when the lengths add up exactly, the bare form otherwise: ``iPXE`` would begin with a length of 105."""
    data = reader.rest()
    if not data:
        raise WireError(reader.offset, "user class", "empty")
    classes: list[bytes] = []
    at = 0
    while at < len(data):
        size = data[at]
        if size == 0 or at + 1 + size > len(data):
            return UserClass((data,), bare=True)
        classes.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return UserClass(tuple(classes))


def _serialize_user_class(value: Value) -> bytes:
    if not isinstance(value, UserClass):
        raise TypeError(f"wants a UserClass, not {value!r}")
    if value.bare:
        return b"".join(value.classes)
    return b"".join(counted(item) for item in value.classes)


USER_CLASS = Shape("user class", _parse_user_class, _serialize_user_class)


@dataclass(frozen=True, slots=True)
class Enterprise:
    """One entry of option 124 or 125: an IANA enterprise number and what that enterprise says."""

    number: int
    data: bytes


def _parse_enterprises(reader: Reader) -> Value:
    """(u32 enterprise number, u8 length, data)+."""
    found: list[Enterprise] = []
    while reader.left or not found:
        number = reader.u32("enterprise number")
        found.append(Enterprise(number, reader.take(reader.u8("data length"), "data")))
    return tuple(found)


def _serialize_enterprises(value: Value) -> bytes:
    parts: list[bytes] = []
    for item in items_of(value):
        if not isinstance(item, Enterprise):
            raise TypeError(f"wants an Enterprise, not {item!r}")
        parts += (int_bytes(item.number, 32), counted(item.data))
    return b"".join(parts)


ENTERPRISES = Shape("vendor-identifying", _parse_enterprises, _serialize_enterprises)
