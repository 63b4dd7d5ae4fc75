"""The rack's files and configuration of ``tests/rack`` serve the simulated machines too, and so does the server of ``tests/server``."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "engine"), str(TESTS / "rack"), str(TESTS / "server")]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with everything that the configuration of ``rack_scene`` names. Nobody writes into it."""
    from rack_scene import make_files

    directory = tmp_path_factory.mktemp("sim")
    make_files(directory)
    return directory
