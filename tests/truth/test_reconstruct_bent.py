"""A bent specimen: images moved by a known field come back as sharp as if nothing had bent."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment, CtfSeries, Deformation, Optics, TiltSeries
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.reconstruction.layers import Layer, layers_of
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

PIXEL_ANG = 10.0
SHAPE_YX = (121, 140)
SIGMA_PX = 1.5
N_TILTS = 31
POINTS_ZYX = np.random.default_rng(8).uniform(-1, 1, (40, 3)) * [120, 400, 480]
PARAMS = ReconstructParams(weighting="ramp", bin=1, thickness_ang=360.0, normalise=False)


def bends():
    """Move the images by 2.5 px RMS, another way every few tilts."""
    rng = np.random.default_rng(4)
    nodes = rng.normal(size=(N_TILTS, 3, 4, 2))
    for _ in range(3):
        nodes = (nodes + np.roll(nodes, 1, axis=0) + np.roll(nodes, -1, axis=0)) / 3
    field_ang = (SHAPE_YX[0] * PIXEL_ANG, SHAPE_YX[1] * PIXEL_ANG)
    return Deformation(nodes_ang_yx=nodes * 25.0 / nodes.std(), field_ang_yx=field_ang)


def imaged(alignment):
    """Image the points where `alignment` says they are."""
    centres = pixels_from_ang(alignment.project(POINTS_ZYX)[0], PIXEL_ANG, SHAPE_YX)
    spread = [
        np.exp(-((np.arange(n) - centres[..., axis, None]) ** 2) / (2 * SIGMA_PX**2)) for axis, n in enumerate(SHAPE_YX)
    ]
    images = -np.einsum("npy,npx->nyx", *spread).astype(np.float32)
    return TiltSeries(name="bent", images=images, tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG)


def density_of_points(tomogram):
    """Take the mean density at the points."""
    voxels = np.round(POINTS_ZYX / tomogram.voxel_ang + np.array(tomogram.volume.shape) // 2).astype(int)
    return float(np.mean(np.asarray(tomogram.volume)[tuple(voxels.T)]))


@pytest.fixture(scope="module")
def alignments():
    shift_ang_yx = np.random.default_rng(5).normal(0, 20, (N_TILTS, 2))
    bent = Alignment(
        tilt_deg=np.linspace(-60, 60, N_TILTS), axis_deg=5.0, shift_ang_yx=shift_ang_yx, deformation=bends()
    )
    return bent, bent.replace(deformation=None)


@pytest.mark.parametrize(
    "changes",
    [{}, {"method": "tiles"}, {"method": "sirt", "iterations": 5}, {"bin": None, "voxel_ang": 13.7},
     {"method": "tiles", "bin": None, "voxel_ang": 13.7}],
    ids=["wbp", "tiles", "sirt", "wbp at 13.7 Å", "tiles at 13.7 Å"],
)  # fmt: skip
def test_a_known_bend_is_undone_by_every_method(alignments, changes):
    bent, rigid = alignments
    params = PARAMS.replace(**changes)
    best = density_of_points(reconstruct(imaged(rigid), rigid, params=params))
    undone = density_of_points(reconstruct(imaged(bent), bent, params=params))
    ignored = density_of_points(reconstruct(imaged(bent), rigid, params=params))
    assert undone == pytest.approx(best, rel=0.03)
    assert ignored > 0.6 * best, "dark points are negative: ignored, the bend blurs them"


@pytest.fixture(scope="module")
def leaning(alignments):
    """Bend the specimen oppositely above and below, by 1.5 px RMS 100 Å from the middle."""
    bent, rigid = alignments
    field = bent.deformation
    slopes = field.nodes_ang_yx * (15.0 / 100.0 / field.nodes_ang_yx.std())
    nodes = np.zeros_like(slopes)
    return rigid.replace(deformation=Deformation(nodes_ang_yx=nodes, slopes_yx=slopes, field_ang_yx=field.field_ang_yx))


@pytest.mark.parametrize(
    "changes",
    [{}, {"ctf": "slabs"}, pytest.param({"ctf": "strips"}, marks=pytest.mark.slow)],
    ids=["wbp", "slabs", "strips"],
)
def test_what_is_bent_otherwise_at_other_heights_is_unbent_layer_by_layer(alignments, leaning, changes):
    rigid, params = alignments[1], PARAMS.replace(bin=2, **changes)
    # In focus, and coarse enough that nothing is flipped.
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.zeros(N_TILTS), defocus_v_ang=np.zeros(N_TILTS), hand=1)
    best, undone, middle = (
        density_of_points(made)
        for made in (
            reconstruct(imaged(rigid), rigid, ctf=ctf, params=params),
            reconstruct(imaged(leaning), leaning, ctf=ctf, params=params),
            reconstruct(imaged(leaning), rigid, ctf=ctf, params=params),
        )
    )
    assert undone == pytest.approx(best, rel=0.03)
    assert middle > 0.9 * best, "dark points are negative: unbent as the middle is, they blur"


def test_only_a_specimen_bent_otherwise_at_other_heights_is_cut_into_layers(alignments, leaning):
    bent, _ = alignments
    slopes = leaning.deformation.slopes_yx
    settings = [Setting.of(imaged(one), one, PARAMS) for one in (bent, leaning)]
    flat, layered = map(layers_of, settings)
    assert flat == [Layer(0, 36, 0.0)]
    assert [layer.end for layer in layered[:-1]] == [layer.first for layer in layered[1:]]
    assert (layered[0].first, layered[-1].end) == (0, 36)
    # A plane's height is that of its middle, plane 18 the volume's.
    assert layered[0].height_ang == pytest.approx(((layered[0].end - 1) / 2 - 18) * 10.0)
    thickest = max(layer.end - layer.first for layer in layered)
    assert np.abs(slopes).max() * (thickest - 1) / 2 <= 0.25
