"""Simulated machines: what boot firmware, boot loaders and installers say, as behaviour without sockets or clocks.

Knows clients and their ways, and (``link``, ``fleet``) how to run many of them. Must not know this project's server: a machine
speaks to any.
"""
