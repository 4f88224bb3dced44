"""Samples come from the project's own simulator."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.gui import samples
from napari_tomoflow.gui.running import RunningJob


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(
        samples, "_SMALL", samples._SMALL.replace(size_px=48, n_tilts=3, n_ribosomes=2, n_proteasomes=1, n_vesicles=0)
    )


def test_sample_series_has_tilts_and_contrast(tiny):
    ((images, attributes, kind),) = samples.tilt_series()
    assert (kind, images.shape) == ("image", (3, 48, 48))
    assert attributes["axis_labels"] == ("tilt", "y", "x")
    assert np.std(images) > 0


def test_sample_tomogram_has_its_particles_inside(tiny):
    (volume, attributes, _), *_, (points, _, kind) = samples.tomogram()
    assert kind == "points"
    assert np.ptp(volume) > 0
    corner = np.array(attributes["translate"]) / attributes["scale"]
    assert np.all(points >= corner)
    assert np.all(points <= corner + volume.shape)


def test_no_sample_while_a_job_computes(monkeypatch):
    monkeypatch.setattr(RunningJob, "current", object())
    with pytest.raises(TomoflowError, match="while a job is running"):
        samples.tilt_series()
