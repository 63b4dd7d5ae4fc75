"""The engines' test clients (bad network, firmware models, DHCP scripts) drive the rack too: they are found where they are."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with everything that the configuration of ``rack_scene`` names. Nobody writes into it."""
    from rack_scene import make_files

    directory = tmp_path_factory.mktemp("rack")
    make_files(directory)
    return directory
