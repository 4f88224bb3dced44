"""A specimen that bends under the beam: the field is found where there is one, and not where there is none."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment import bending
from napari_tomoflow.core.alignment.bundle import choose_model
from napari_tomoflow.core.alignment.bundle_model import LADDER, Observations
from napari_tomoflow.core.alignment.tracked import tracked
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.simulation.deformation import bend
from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate

PIXEL_ANG = 10.0
FIELD_ANG = 512 * PIXEL_ANG
THICKNESS_ANG = 1500.0
TILT_DEG = np.linspace(-60.0, 60.0, 41)


class BentBeads:
    """Beads measured to 2 Å in 41 tilts taken from 0° outward, while the specimen bends by some RMS in the end."""

    def __init__(self, seed, n_beads, bent_ang):
        rng = np.random.default_rng(seed)
        order = np.argsort(np.argsort(np.abs(TILT_DEG), kind="stable"))
        self.dose = 3.0 * order
        self.truth = Alignment(
            tilt_deg=TILT_DEG + rng.normal(0, 0.1, 41),
            axis_deg=-12.0 + rng.normal(0, 0.1, 41),
            shift_ang_yx=rng.normal(0, 80, (41, 2)),
        )
        self.deformation = bend(bent_ang, FIELD_ANG, THICKNESS_ANG, 123.0, rng)
        points = rng.uniform(-0.5, 0.5, (n_beads, 3)) * [THICKNESS_ANG, 0.95 * FIELD_ANG, 0.95 * FIELD_ANG]
        seen = self.project(points) + rng.normal(0, 2.0, (41, n_beads, 2))
        tilt, point = np.nonzero((np.abs(seen).max(axis=2) < FIELD_ANG / 2) & (rng.random(seen.shape[:2]) > 0.1))
        self.observations = Observations(tilt, point, seen[tilt, point])
        self.start = Alignment(
            tilt_deg=TILT_DEG, axis_deg=-11.5, shift_ang_yx=self.truth.shift_ang_yx + rng.normal(0, 10, (41, 2))
        )
        self.series = TiltSeries(
            name="bent", images=np.zeros((41, 512, 512), np.int8), tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG,
            dose_before_e_ang2=self.dose, dose_of_tilt_e_ang2=np.full(41, 3.0), order=order,
        )  # fmt: skip

    def project(self, points_ang_zyx):
        if self.deformation is None:
            return self.truth.project(points_ang_zyx)[0]
        moved = [points_ang_zyx + self.deformation.displacement(points_ang_zyx, dose) for dose in self.dose]
        return np.stack([self.truth.project(one)[0][tilt] for tilt, one in enumerate(moved)])

    def rigid(self):
        _, bundle = choose_model(self.observations, self.start, LADDER[:3])
        return tracked("gold", self.observations, bundle, self.start, 100.0)

    def blur_px(self, alignment):
        """Return by how much a point of the specimen is smeared, RMS over the volume.

        Each point is first put where it suits its own images best: what never moves is no blur.
        """
        ends = [np.linspace(-0.45, 0.45, n) * side for n, side in ((3, THICKNESS_ANG), (7, FIELD_ANG), (7, FIELD_ANG))]
        points = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
        wanted = self.project(points)
        seen = np.abs(wanted).max(axis=2) < FIELD_ANG / 2
        off = wanted - alignment.project(points)[0]
        by_place = alignment.rotations[:, 1::-1, ::-1]
        left = [_without_place(by_place[seen[:, k]], off[seen[:, k], k]) for k in range(len(points))]
        return np.sqrt(np.sum(np.concatenate(left) ** 2) / seen.sum()) / PIXEL_ANG


def _without_place(by_place, off):
    design = by_place.reshape(-1, 3)
    return off.ravel() - design @ np.linalg.lstsq(design, off.ravel(), rcond=None)[0]


@pytest.mark.parametrize("seed", range(3))
def test_bending_is_found_and_undone_over_the_whole_volume(seed):
    beads = BentBeads(seed, 50, 30.0)
    rigid = beads.rigid()
    bent, said = bending.bend(rigid, beads.start, beads.series, silent)
    assert said.startswith("accepted: leave-out")
    # Measured 0.60, 0.64 and 0.32 px without, 0.31, 0.47 and 0.16 px with.
    assert beads.blur_px(bent.alignment) < 0.8 * beads.blur_px(rigid.alignment)
    assert bent.bundle.leave_out_rms_ang < 0.8 * rigid.bundle.leave_out_rms_ang


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_beads", [15, 50])
def test_a_specimen_that_does_not_bend_is_left_rigid(seed, n_beads):
    beads = BentBeads(seed, n_beads, 0.0)
    rigid = beads.rigid()
    found, said = bending.bend(rigid, beads.start, beads.series, silent)
    assert said.startswith("not needed: leave-out")
    assert found is rigid
    assert found.alignment.deformation is None


def test_too_few_landmarks_are_not_asked():
    beads = BentBeads(0, 8, 30.0)
    found, said = bending.bend(beads.rigid(), beads.start, beads.series, silent)
    assert said == "not tried: 8 landmarks, it takes 12"
    assert found.alignment.deformation is None


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "bent_ang"), [(1, 40.0), (2, 0.0)])
def test_images_of_a_specimen_are_aligned_with_its_bending_and_only_if_it_bends(seed, bent_ang):
    made = simulate(
        SimulateParams(
            seed=seed,
            size_px=512,
            pixel_ang=10.0,
            n_tilts=41,
            n_gold=50,
            n_ribosomes=20,
            n_proteasomes=8,
            n_vesicles=1,
            axis_deg=-12.0,
            deformation_ang=bent_ang,
        )
    )
    bent, rigid = (align(made.series, AlignParams(local=local)) for local in (True, False))
    assert rigid.deformation is None
    assert rigid.quality["deformation"] == "not asked for"
    if bent_ang:
        assert bent.quality["deformation"].startswith("accepted")
        assert bent.quality["leave_out_px"] < 0.7 * rigid.quality["leave_out_px"]
    else:
        assert bent.quality["deformation"].startswith("not needed")
        assert bent.deformation is None
