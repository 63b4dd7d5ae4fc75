"""pxenet: a network-boot toolkit. DHCP, ProxyDHCP, TFTP, HTTP and answer files, each packet explained.

The floors of the house, lowest first (a test enforces that imports only go down):
``wire`` and ``net``; ``model`` and ``events``; ``boot``, ``answer`` and ``engine``; ``content``, ``store`` and ``capture``;
``config``; ``rack``; ``replay`` and ``server``; ``cli``.
"""

__version__ = "0.1.0"
