"""Pictures of alignments: the files are there, show what they should, and say in which units."""

import subprocess
import sys

import numpy as np
import pytest
from skimage.io import imread

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Landmarks, TiltSeries
from napari_tomoflow.io.plots import figures_of, save_figures

N, P, PIXEL_ANG = 21, 7, 5.0
RNG = np.random.default_rng(0)
TILT_DEG = np.linspace(-60, 60, N)
KEPT = ~np.isin(np.arange(N), [3, 17])
SERIES = TiltSeries(
    name="TS_01", images=np.zeros((N, 64, 64), np.int8), tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG, axis_deg=179.0
)
ALIGNMENT = Alignment(
    tilt_deg=TILT_DEG + 1.5, axis_deg=np.where(np.arange(N) % 2, 179.9, -179.9), shift_ang_yx=RNG.normal(0, 50, (N, 2)),
    kept=KEPT, residual_ang=RNG.uniform(2.0, 4.0, N),
)  # fmt: skip


def with_landmarks(error_ang_yx):
    """Measure points with an error; point 4 is dropped and the first 5 measurements are rejected."""
    points = RNG.uniform(-150, 150, (P, 3))
    tilt, point = (index.ravel() for index in np.indices((N, P)))
    seen = ALIGNMENT.project(points)[0][tilt, point] + error_ang_yx
    points[4] = np.nan
    marks = Landmarks(
        kind="gold", points_ang_zyx=points, tilt=tilt, point=point, position_ang_yx=seen, weight=np.arange(N * P) > 4
    )
    return ALIGNMENT.replace(landmarks=marks)


def panel_of(figure, title):
    return next(panel for panel in figure.axes if panel.get_title().startswith(title))


def nm_labels(panel):
    """Labels of the scales on the right."""
    return [child.get_ylabel() for child in panel.child_axes]


def test_pictures_are_left_in_the_folder_and_are_not_blank(tmp_path):
    paths = save_figures(with_landmarks(np.array([3.0, 4.0])), SERIES, tmp_path)
    assert [path.name for path in paths] == ["alignment.png", "landmarks.png"]
    assert sorted(tmp_path.iterdir()) == paths
    for path in paths:
        picture = imread(path)[..., :3]
        assert min(picture.shape[:2]) > 500
        assert 0.01 < (picture < 200).any(axis=2).mean() < 0.5
        assert (picture[:, [0, -1]] == 255).all(), "something is cut off at the side"


def test_every_axis_says_what_it_shows_and_in_which_unit():
    figures = figures_of(with_landmarks(np.array([3.0, 4.0])), SERIES)
    tilts = figures["alignment"]
    assert [panel.get_ylabel() for panel in tilts.axes] == [
        "shift, px", "residual, px", "change, °", "change, °", "x-tilt, °", "measurements",
    ]  # fmt: skip
    assert nm_labels(panel_of(tilts, "Shift")) == ["shift, nm"]
    assert nm_labels(panel_of(tilts, "Residual")) == ["residual, nm"]
    assert {panel.get_xlabel() for panel in tilts.axes} == {"", "nominal tilt, °"}
    field, bars, _colours = figures["landmarks"].axes
    assert (field.get_xlabel(), field.get_ylabel()) == ("x, nm", "y, nm")
    assert (bars.get_xlabel(), bars.get_ylabel(), nm_labels(bars)) == (
        "landmark", "RMS residual, px", ["RMS residual, nm"],
    )  # fmt: skip


def test_tilts_left_out_are_marked_and_not_joined_by_the_line():
    panel = panel_of(figures_of(ALIGNMENT, SERIES)["alignment"], "Residual")
    joined, crosses = (line.get_xydata() for line in panel.lines[:2])
    np.testing.assert_allclose(joined, np.stack([TILT_DEG, ALIGNMENT.residual_ang / PIXEL_ANG], 1)[KEPT])
    np.testing.assert_allclose(crosses[:, 0], TILT_DEG[~KEPT])


def test_an_axis_near_the_half_turn_changes_by_what_it_is_turned():
    panel = panel_of(figures_of(ALIGNMENT, SERIES)["alignment"], "Tilt axis")
    assert np.ptp(panel.lines[0].get_ydata()) == pytest.approx(0.2)


def test_bars_and_arrows_show_the_residuals_that_are_believed():
    field, bars, _colours = figures_of(with_landmarks(np.array([3.0, 4.0])), SERIES)["landmarks"].axes
    np.testing.assert_allclose([bar.get_height() for bar in bars.patches], 1.0)
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in bars.patches] == [0, 1, 2, 3, 5, 6]
    arrows = field.collections[0]
    assert len(arrows.U) == N * P - N - 4
    np.testing.assert_allclose(arrows.U, 4.0)
    np.testing.assert_allclose(arrows.V, 3.0)


def test_both_panels_of_the_landmarks_have_half_of_the_figure(tmp_path):
    figure = figures_of(with_landmarks(np.array([0.02, 0.01])), SERIES)["landmarks"]
    figure.savefig(tmp_path / "drawn.png")
    field, bars, _colours = figure.axes
    assert field.get_position().width > 0.33
    assert bars.get_position().width > 0.33


def test_a_disk_that_refuses_is_told_in_one_sentence_and_nothing_is_left(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        save_figures(ALIGNMENT, SERIES, tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_other_results_have_no_pictures_and_cost_no_plotting_library():
    program = (
        "import sys, numpy as np; from napari_tomoflow.core.model import *; from napari_tomoflow.io.plots import *;"
        "v = np.zeros((2, 4, 4), np.float32);"
        "s = TiltSeries(name='a', images=v, tilt_deg=[0, 1], pixel_ang=1.0);"
        "print(figures_of(Tomogram(name='a', volume=v, voxel_ang=1.0), s), 'matplotlib' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["{}", "False"]
