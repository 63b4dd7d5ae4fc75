"""Bytes ↔ values: the codecs. Knows nothing of sockets, clocks, files or the other packages; imports the standard library alone."""
