"""Alignment by patches against truth: a dense specimen by little light, and a sparse one that needs none."""

import pytest

from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from truth.test_align_features import rms_px

SERIES = {
    "size_px": 320, "pixel_ang": 10.0, "n_tilts": 27, "n_gold": 0,
    "shift_px": 20.0, "tilt_error_deg": 0.3, "axis_jitter_deg": 0.2, "axis_deg": -12.0,
}  # fmt: skip


def error_and_claim_px(made, thickness_ang, landmarks):
    alignment = align(made.series, AlignParams(landmarks=landmarks))
    claim_px = alignment.quality["expected_error_px"]
    return rms_px(alignment, made.alignment, made.series, thickness_ang), claim_px, alignment


@pytest.mark.slow
def test_patches_hold_a_dense_specimen_by_little_light():
    crowd = {"n_ribosomes": 137, "n_proteasomes": 156, "n_hooks": 586, "n_vesicles": 2}
    made = simulate(SimulateParams(seed=1, axis_error_deg=1.5, dose_per_tilt_e_ang2=0.3, **SERIES, **crowd))
    alone_px, _, _ = error_and_claim_px(made, 1500.0, "none")
    error_px, claim_px, alignment = error_and_claim_px(made, 1500.0, "patches")
    assert alignment.landmarks.kind == "patch"
    assert "patches)" in alignment.quality["matched_with"]
    assert error_px < 0.5 * alone_px
    assert error_px < 0.6
    assert claim_px > 0.5 * error_px
    assert abs((alignment.axis_deg - made.alignment.axis_deg).mean()) < 0.3


@pytest.mark.slow
def test_a_sparse_cell_is_held_by_features_and_patches_do_not_claim_to_hold_it_better():
    cell = {"n_ribosomes": 15, "n_proteasomes": 6, "n_vesicles": 2}
    made = simulate(SimulateParams(seed=1, axis_error_deg=1.5, dose_per_tilt_e_ang2=1.0, **SERIES, **cell))
    by_itself_px, _, by_itself = error_and_claim_px(made, 1500.0, "auto")
    error_px, claim_px, _ = error_and_claim_px(made, 1500.0, "patches")
    assert by_itself.landmarks.kind == "feature"
    assert by_itself_px < error_px
    assert claim_px > 0.5 * error_px
