"""One small, honest sample of every input a stage may take. A new noun gets its line here."""

from functools import cache

import numpy as np

from napari_tomoflow.core.model import (
    Alignment,
    CtfSeries,
    Curve,
    Dataset,
    DensityMap,
    Ensemble,
    Frames,
    Labels,
    Movies,
    Optics,
    ParticleSet,
    RawStack,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.stages import STAGES

# Parameters that make a stage small, or that it cannot do without.
SMALL = {
    "import": {"pixel_ang": 10.0},
    "simulate": {"size_px": 64, "pixel_ang": 20.0, "n_tilts": 5, "n_ribosomes": 3, "n_proteasomes": 2, "n_vesicles": 0},
    "motion": {"halves": "frames"},
    "align": {},
    "ctf": {"low_resolution_ang": 100.0, "defocus_max_um": 5.0},
    "reconstruct": {"thickness_ang": 320.0},
    "pick": {"spacing_nm": 8.0},
    "match": {"angular_step_deg": 30.0, "min_distance_ang": 40.0, "search": "exhaustive"},
    "initial-model": {"diameter_ang": 120.0, "iterations": 10, "starts": 1, "lots": 2},
    "refine": {"diameter_ang": 120.0, "iterations": 2, "symmetry": "C1", "local_filter": True, "subsets": True},
    "polish": {"diameter_ang": 120.0, "rounds": 1, "folds": 2},
    "align-map": {"resolution_ang": 60.0},
    "classify": {"diameter_ang": 120.0, "iterations": 5, "repeats": 2},
    "extract": {"content": "both", "diameter_ang": 80.0, "box_px": 16},
}


def params_of(stage):
    """Make parameters that keep `stage` to a few seconds."""
    known = {spec.name for spec in stage.params.specs()}
    return stage.params(**{name: value for name, value in SMALL.get(stage.name, {}).items() if name in known})


@cache
def _bead_images():
    """Project 24 dense beads over 64 × 64 px, 21 tilts: enough for any stage to do its work."""
    rng = np.random.default_rng(3)
    points_zyx = rng.uniform(-1, 1, (24, 3)) * [60, 260, 260]
    alignment = Alignment(tilt_deg=np.linspace(-50, 50, 21), axis_deg=5.0, shift_ang_yx=rng.normal(0, 20, (21, 2)))
    centres_px = alignment.project(points_zyx)[0] / 10.0 + 32
    y, x = np.mgrid[:64, :64]
    images = np.zeros((21, 64, 64), np.float32)
    for image, beads in zip(images, centres_px, strict=True):
        for cy, cx in beads:
            image -= 10 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.6**2))
    return images + rng.normal(0, 0.5, images.shape).astype(np.float32), alignment


def _frames(images):
    """Give every tilt three noisy frames, one pixel apart."""
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.5, (len(images), 3, *images.shape[1:])).astype(np.float32)
    return Frames(
        tuple(
            np.stack([np.roll(image, step, 1) for step in range(3)]) + n for image, n in zip(images, noise, strict=True)
        )
    )


def _ball():
    """Mark a ball of 160 Å radius in a small volume."""
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    return z**2 + y**2 + x**2 < 8**2


def _noisy_ball():
    """Put that ball into as much noise."""
    return _ball() + np.random.default_rng(6).normal(size=(32, 32, 32)).astype(np.float32)


def _on_ball():
    """Click 20 points on the surface of a ball, a few Å off."""
    rng = np.random.default_rng(5)
    ways = rng.normal(size=(20, 3))
    return 160.0 * ways / np.linalg.norm(ways, axis=1, keepdims=True) + rng.normal(0, 4, (20, 3))


def _of_one_species(dataset):
    """Say of the particles of a data set what they are."""
    named = dataset.particles.replace(features={"species": np.full(len(dataset.particles), "ball")})
    return {"particles": named, "series": dataset.series, "alignments": dataset.alignments, "ctfs": dataset.ctfs}


def inputs_of(stage):
    """Make fresh inputs for `stage`, the optional ones too."""
    images, alignment = _bead_images()
    nouns = {
        RawStack: lambda: RawStack(
            name="TS", source="TS.mrc", images=images.copy(), tilt_deg=alignment.tilt_deg.copy()
        ),
        TiltSeries: lambda: TiltSeries(
            name="TS", images=images.copy(), tilt_deg=alignment.tilt_deg.copy(), pixel_ang=10.0, axis_deg=5.0
        ),
        Movies: lambda: Movies(
            name="TS", images=_frames(images), tilt_deg=alignment.tilt_deg.copy(), pixel_ang=10.0, axis_deg=5.0
        ),
        Alignment: lambda: alignment.replace(),
        Tomogram: lambda: Tomogram(name="TS", volume=_noisy_ball(), voxel_ang=20.0, contrast="bright"),
        DensityMap: lambda: DensityMap(name="small ball", volume=_ball()[::2, ::2, ::2], voxel_ang=20.0, symmetry="O"),
        Labels: lambda: Labels(name="TS", volume=_ball().astype(np.uint8), voxel_ang=20.0),
        ParticleSet: lambda: ParticleSet(centers_ang_zyx=_on_ball(), tomogram=np.array("TS")),
        CtfSeries: lambda: CtfSeries(
            optics=Optics(), defocus_u_ang=np.full(21, 3.1e4), defocus_v_ang=np.full(21, 2.9e4), hand=-1
        ),
    }
    nouns[Curve] = lambda: Curve(name="curve", frequency=np.linspace(0.0, 0.5, 9), value=np.linspace(1.0, 0.2, 9))
    nouns[Dataset] = lambda: Dataset(
        particles=nouns[ParticleSet](),
        series={"TS": nouns[TiltSeries]()},
        alignments={"TS": nouns[Alignment]()},
        ctfs={"TS": nouns[CtfSeries]()},
    )
    nouns[Ensemble] = lambda: Ensemble(**_of_one_species(nouns[Dataset]()), maps={"ball": nouns[DensityMap]()})
    return {name: (nouns[given.kind](),) if given.many else nouns[given.kind]() for name, given in stage.inputs.items()}


__all__ = ["STAGES", "inputs_of", "params_of"]
