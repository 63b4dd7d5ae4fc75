"""The lab: real firmware in QEMU, on a wire of its own, against a boot server.

It knows processes, namespaces and firmware, and nothing of the server's insides: the server is started by its command and
judged by what machines do with its answers. Standard library only.
"""
