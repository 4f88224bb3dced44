"""Fiducial models, written and read, on the raw and on the pre-aligned stack."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Landmarks
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.io.imod_fid import (
    ImodTracks,
    landmarks_from_tracks,
    read_fid,
    tracks_of_landmarks,
    tracks_on_raw,
    write_fid,
)
from unit.io.foreign_samples import POINTS_ZYX, alignment

SHAPE_YX = (64, 97)


def seen(ours):
    """Measure every point in every tilt."""
    n_tilts, n_points = ours.n_tilts, len(POINTS_ZYX)
    return Landmarks(
        kind="gold",
        points_ang_zyx=POINTS_ZYX,
        tilt=np.tile(np.arange(n_tilts), n_points),
        point=np.repeat(np.arange(n_points), n_tilts),
        position_ang_yx=ours.project(POINTS_ZYX)[0].transpose(1, 0, 2).reshape(-1, 2),
        weight=np.ones(n_tilts * n_points),
    )


def test_landmarks_come_back_with_their_places_in_the_specimen(tmp_path):
    ours = alignment()
    landmarks = seen(ours)
    write_fid(tmp_path / "TS.fid", tracks_of_landmarks(landmarks, pixel_ang=4.0, shape_yx=SHAPE_YX), pixel_ang=4.0)
    read = landmarks_from_tracks(read_fid(tmp_path / "TS.fid"), ours, pixel_ang=4.0)
    np.testing.assert_array_equal(read.tilt, landmarks.tilt)
    np.testing.assert_array_equal(read.point, landmarks.point)
    # The file holds float32 pixels.
    np.testing.assert_allclose(read.position_ang_yx, landmarks.position_ang_yx, atol=1e-4)
    np.testing.assert_allclose(read.points_ang_zyx, POINTS_ZYX, atol=1e-3)


def test_a_point_in_the_middle_of_the_first_pixel_is_at_one_half(tmp_path):
    ours = alignment()
    landmarks = seen(ours).subset(np.arange(63) < 1)
    corner = landmarks.replace(position_ang_yx=-4.0 * np.array([[SHAPE_YX[0] // 2, SHAPE_YX[1] // 2]]))
    tracks = tracks_of_landmarks(corner, pixel_ang=4.0, shape_yx=SHAPE_YX)
    np.testing.assert_array_equal(tracks.position_px_yx, [[0.5, 0.5]])


def test_rejected_measurements_are_not_written():
    landmarks = seen(alignment())
    weight = np.where(landmarks.point == 2, 0.0, 1.0)
    tracks = tracks_of_landmarks(landmarks.replace(weight=weight), pixel_ang=4.0, shape_yx=SHAPE_YX)
    assert 2 not in tracks.track


def test_a_point_seen_once_has_no_place(tmp_path):
    ours = alignment()
    landmarks = seen(ours)
    once = landmarks.subset((landmarks.point != 0) | (landmarks.tilt == 3))
    read = landmarks_from_tracks(tracks_of_landmarks(once, pixel_ang=4.0, shape_yx=SHAPE_YX), ours, pixel_ang=4.0)
    assert np.isnan(read.points_ang_zyx[0]).all()
    assert np.isfinite(read.points_ang_zyx[1:]).all()


def test_tracks_on_the_binned_pre_aligned_stack_are_brought_to_the_raw_one():
    rng = np.random.default_rng(3)
    shifts = rng.normal(0, 9, (5, 2))
    raw_yx = rng.uniform(5, 60, (5, 2))
    # A pre-aligned stack binned by 2: raw, about (N - 1) / 2, shifted by the prexg, then averaged.
    from_centre = raw_yx - [32, 48.5] + shifts[:, ::-1]
    tracks = ImodTracks(np.arange(5), np.zeros(5, np.int64), from_centre / 2 + [16, 24], (32, 48))
    prexg = np.tile(np.eye(2), (5, 1, 1)), shifts
    brought = tracks_on_raw(tracks, SHAPE_YX, prexg=prexg, binning=2)
    np.testing.assert_allclose(brought.position_px_yx, raw_yx, atol=1e-9)
    np.testing.assert_allclose(pixels_from_ang([0, 0], 4.0, SHAPE_YX), [32, 48])


@pytest.mark.parametrize("keep", [20, 200, 300, 400, -8])
def test_a_model_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "TS.fid"
    tracks = tracks_of_landmarks(seen(alignment()), pixel_ang=4.0, shape_yx=SHAPE_YX)
    write_fid(path, tracks, pixel_ang=4.0)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"TS\.fid is damaged: .*copy it again"):
        read_fid(path)


def test_files_that_are_no_models_or_empty_are_refused(tmp_path):
    (tmp_path / "a.fid").write_bytes(b"MRCV1.2 and so on")
    with pytest.raises(DataError, match="is not an IMOD model"):
        read_fid(tmp_path / "a.fid")
    nothing = ImodTracks(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([[np.nan, 1.0]]), SHAPE_YX)
    write_fid(tmp_path / "b.fid", nothing, pixel_ang=4.0)
    with pytest.raises(DataError, match="holds points that are not numbers"):
        read_fid(tmp_path / "b.fid")
