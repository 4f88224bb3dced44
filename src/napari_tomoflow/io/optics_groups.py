"""The lenses particles are seen through, and RELION's groups of particles seen through the same."""

import numpy as np

from napari_tomoflow.core.model import CtfSeries, ParticleSet, TiltSeries
from napari_tomoflow.io.columns import FAULTLESS, OPTICS_COLUMNS, optics_columns

GROUP = "rlnOpticsGroup"
OF_GROUP = (
    f"{GROUP}Name", *OPTICS_COLUMNS, "rlnTomoTiltSeriesPixelSize", "rlnCtfDataAreCtfPremultiplied",
    "rlnImageDimensionality", "rlnTomoSubtomogramBinning", "rlnImagePixelSize", "rlnImageSize",
    "rlnMicrographOriginalPixelSize",
)  # fmt: skip
"""What RELION says once for each group."""


def seen_through(particles: ParticleSet, series: TiltSeries, ctf: CtfSeries | None) -> ParticleSet:
    """Say of all particles of a series through which lens its images show them."""
    optics = series.optics if ctf is None else ctf.optics
    said = {**optics_columns(optics), "rlnTomoTiltSeriesPixelSize": series.pixel_ang}
    features = {name: column for name, column in particles.features.items() if name not in OPTICS_COLUMNS}
    return particles.replace(features=features | {name: np.full(len(particles), one) for name, one in said.items()})


def in_optics_groups(particles: ParticleSet) -> ParticleSet:
    """Put particles into the groups that RELION says the same of; who are told of no lens stay as they are."""
    features = dict(particles.features)
    names = [name for name in OF_GROUP[1:] if name in features]
    if not names:
        return particles
    for name in FAULTLESS.keys() & features.keys():
        # Joined with others, who has a faultless lens has nothing to say of it.
        column = features[name]
        unsaid = column == "" if column.dtype.kind == "U" else np.isnan(column)
        features[name] = np.where(unsaid, np.array(FAULTLESS[name]), column)
    numbers = np.stack([np.unique(features[name], return_inverse=True)[1].reshape(-1) for name in names], axis=1)
    group = np.unique(numbers, axis=0, return_inverse=True)[1].reshape(-1) + 1
    said = {GROUP: group, f"{GROUP}Name": np.array([f"optics{one}" for one in group], np.str_)}
    return particles.replace(features=features | said)
