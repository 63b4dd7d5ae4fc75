"""Who answered: the replies sorted by server, and what each server does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pxenet.doctor.observed import Asked, Heard, Observed
from pxenet.sim.dhcp import Reply
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.pxe import HTTP_CLIENT, PXE_CLIENT
from pxenet.wire.text import address_text, mac_text


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's reply to a personality."""

    asked: Asked
    heard: Heard
    reply: Reply

    @property
    def by(self) -> str:
        """The personality's name."""
        return self.asked.personality.name

    @property
    def gives(self) -> bool:
        """It gives an address; otherwise it is a ProxyDHCP server's."""
        return bool(self.reply.message.yiaddr)

    @property
    def has_class(self) -> bool:
        """It is meant for network boot (option 60)."""
        return self.reply.text(OptionCode.VENDOR_CLASS) in (PXE_CLIENT, HTTP_CLIENT)

    @property
    def file(self) -> str:
        """The boot file, as most firmware reads it: 67, else ``file``."""
        return self.reply.text(OptionCode.BOOT_FILE) or self.reply.file

    @property
    def words(self) -> str:
        """For people: what it says."""
        message = self.reply.message
        parts = [f"address {address_text(message.yiaddr)}" if message.yiaddr else "no address"]
        parts.append(f'file "{self.file}"' if self.file else "no file")
        if message.siaddr:
            parts.append(f"next server {address_text(message.siaddr)}")
        if kind := self.reply.text(OptionCode.VENDOR_CLASS):
            parts.append(f"class {kind}")
        if message.giaddr:
            parts.append(f"through the relay {address_text(message.giaddr)}")
        return ", ".join(parts)


@dataclass(slots=True)
class Server:
    """One server, by its server identifier, else by where its replies come from."""

    address: int
    answers: list[Answer] = field(default_factory=list)

    @property
    def name(self) -> str:
        return address_text(self.address)

    @property
    def gives(self) -> bool:
        """It gives addresses."""
        return any(answer.gives for answer in self.answers)

    @property
    def proxies(self) -> bool:
        """It adds boot files to another's addresses."""
        return any(not answer.gives for answer in self.answers)

    @property
    def kind(self) -> str:
        return "DHCP" if self.gives else "ProxyDHCP"

    @property
    def relays(self) -> tuple[int, ...]:
        """Relays through which its answers came."""
        return tuple(dict.fromkeys(a.reply.message.giaddr for a in self.answers if a.reply.message.giaddr))

    @property
    def offers(self) -> frozenset[int]:
        """The addresses that it offers."""
        return frozenset(answer.reply.message.yiaddr for answer in self.answers if answer.gives)

    @property
    def hardware(self) -> tuple[bytes, ...]:
        """From where the frames came."""
        return tuple(dict.fromkeys(answer.heard.hardware for answer in self.answers if answer.heard.hardware))

    def to(self, name: str) -> Answer | None:
        """Its first answer to a personality."""
        return next((answer for answer in self.answers if answer.by == name), None)

    def evidence(self) -> str:
        """One line: who, how, and what it said first."""
        macs = ", ".join(mac_text(mac) for mac in self.hardware)
        at = f" at {macs}" if macs else ""
        names = ", ".join(dict.fromkeys(answer.by for answer in self.answers))
        said = list(dict.fromkeys(answer.words for answer in self.answers))
        to = f" (to {self.answers[0].by})" if len(said) > 1 else ""
        return f"{self.name}{at} answers {names}: {said[0]}{to}"


def answers(observed: Observed) -> Iterator[Answer]:
    """All that was offered, in the order of asking."""
    for asked in observed.asked:
        for heard in asked.heard:
            reply = heard.reply()
            if reply is not None and reply.type in (0, MessageType.OFFER):
                yield Answer(asked, heard, reply)


def server_of(reply: Reply) -> int:
    """Whose reply it is."""
    return reply.server_id or reply.from_address


def servers(found: Iterable[Answer]) -> list[Server]:
    """By server: first those that give addresses, then by address, so that the same network is told in the same way each time."""
    by_address: dict[int, Server] = {}
    for answer in found:
        address = server_of(answer.reply)
        by_address.setdefault(address, Server(address)).answers.append(answer)
    return sorted(by_address.values(), key=lambda server: (not server.gives, server.address))
