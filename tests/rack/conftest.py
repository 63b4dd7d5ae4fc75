"""The engines' test clients (bad network, firmware models, DHCP scripts) drive the rack too: they are found where they are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
