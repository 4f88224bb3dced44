"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

_DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """Find a folder or file of other people's data by its path below the data folder, or skip with the reason."""
    root = Path(os.environ.get("TOMOFLOW_TEST_DATA", _DEFAULT_DATA)).resolve()

    def find(relative: str) -> Path:
        path = root / relative
        if not path.exists():
            pytest.skip(f"needs {relative} below {root}; set TOMOFLOW_TEST_DATA to the folder that holds it")
        return path

    return find
