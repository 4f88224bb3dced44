"""Projects that hold series and nothing else."""

import pytest

from unit.project import fake_stages as fake


@pytest.fixture
def project(tmp_path):
    """Make a project with the series A, B and C, from the jobs 1 to 3."""
    return fake.project_with_series(tmp_path / "p", "A", "B", "C")


@pytest.fixture
def small_project(tmp_path):
    """Make a project with the series A and B, from the jobs 1 and 2."""
    return fake.project_with_series(tmp_path / "p", "A", "B")
