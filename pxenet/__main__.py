"""``python -m pxenet``: the same as the command ``pxenet``."""

from pxenet.cli.main import main

main()
