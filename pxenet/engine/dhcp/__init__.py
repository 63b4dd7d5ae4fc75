"""DHCP and ProxyDHCP without sockets or clock.

``server`` is the way in; a packet goes ``reception`` → ``query`` → ``rules`` → ``reply`` → ``desk`` → ``route``.
"""

from __future__ import annotations

from pxenet.engine.dhcp.desk import BootChooser
from pxenet.engine.dhcp.reception import HostFinder
from pxenet.engine.dhcp.server import DhcpServer
from pxenet.engine.dhcp.subnet import DhcpMode, DhcpSettings, Subnet
from pxenet.engine.dhcp.tally import DhcpStatistics

__all__ = ["BootChooser", "DhcpMode", "DhcpServer", "DhcpSettings", "DhcpStatistics", "HostFinder", "Subnet"]
