"""Proofs of what pxenet promises, against the real server or its engines.

Each proof is a file with a ``run`` and a line in ``registry``. All chance comes from a seed that is printed.
"""
