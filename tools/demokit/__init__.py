"""What ``tools/demo`` shows: a rack in a box. The real server on the loopback, and machines in front of it, live in the terminal.

Knows the server as a program with a configuration file and lines of JSON, the simulated machines of ``pxenet.sim``, and with
``--qemu`` the lab's way to run a real firmware (``labkit``).
"""
