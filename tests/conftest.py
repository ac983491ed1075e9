"""What the tests share: quiet logs, the folder of real data where there is one, small compact data sets."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real pictures beside the project (`../shared/data`); the test skips where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data for checks is absent: no folder {folder}")
    return folder
