"""Network boot examined from a client's place: probes by several kinds of firmware, and what is wrong with what comes back.

    what is seen (``observed``) ── the firmware's own choice of it (``choice``) ── findings, by a table (``findings``, ``diagnose``)

These are pure. ``examine`` and the probes beside it go out on the network and bring what is seen. Whoever prints knows the rest.
"""
