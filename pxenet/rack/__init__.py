"""The assembly: settings and a store become engines, a tree of names, and the decisions that join them. No sockets.

The one place where the floors below meet. Servers, checks, renderings, replays and simulations all use the same rack, so none of
them can decide differently. Its clock and its store are arguments: in virtual time it is the same rack.
"""

from __future__ import annotations

from pxenet.rack.callbacks import Report
from pxenet.rack.hosts import Hosts
from pxenet.rack.rack import Rack

__all__ = ["Hosts", "Rack", "Report"]
