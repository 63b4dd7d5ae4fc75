"""``python -m demokit``, as ``tools/demo`` runs it."""

import sys

from demokit.command import main

sys.exit(main(sys.argv[1:]))
