"""The lab is no installed package: its tests find it where ``tools/lab`` does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
