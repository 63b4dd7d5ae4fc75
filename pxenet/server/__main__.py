"""``python -m pxenet.server``: run the server."""

import sys

from pxenet.cli.serving import main

sys.exit(main())
