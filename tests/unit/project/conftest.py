"""Projects that hold series and nothing else."""

import pytest

from napari_tomoflow.io import plots
from unit.project import fake_stages as fake


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Draw nothing: pictures take more time than everything else here. `test_pictures` has its own say."""
    monkeypatch.setattr(plots, "DRAWN", ())


@pytest.fixture
def project(tmp_path):
    """Make a project with the series A, B and C, from the jobs 1 to 3."""
    return fake.project_with_series(tmp_path / "p", "A", "B", "C")


@pytest.fixture
def small_project(tmp_path):
    """Make a project with the series A and B, from the jobs 1 and 2."""
    return fake.project_with_series(tmp_path / "p", "A", "B")
