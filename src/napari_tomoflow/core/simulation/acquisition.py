"""What the stage and the lenses do: nominal and true geometry, exposure and defocus of every tilt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, CtfSeries, Optics
from napari_tomoflow.core.simulation.params import SimulateParams

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Acquisition:
    """A tilt series as planned and as it truly went. Legend: N tilts, in the order of their angles.

    Attributes
    ----------
    tilt_deg : float64[N]
        Nominal tilt of the stage.
    order : int64[N]
        Place of each image in the order of acquisition.
    alignment : Alignment
        The truth, for the levelled specimen.
    ctf : CtfSeries
        The truth.
    """

    tilt_deg: Floats
    order: NDArray[np.int64]
    alignment: Alignment
    ctf: CtfSeries


def acquire(params: SimulateParams, rng: np.random.Generator) -> Acquisition:
    """Draw the errors of one acquisition."""
    tilt_deg = (
        np.linspace(params.tilt_min_deg, params.tilt_max_deg, params.n_tilts) if params.n_tilts > 1 else np.zeros(1)
    )
    order = _dose_symmetric(tilt_deg) if params.scheme == "dose-symmetric" else np.arange(params.n_tilts)
    time = order / max(params.n_tilts - 1, 1)
    stage = Alignment(
        tilt_deg=tilt_deg + rng.normal(0, params.tilt_error_deg, params.n_tilts),
        axis_deg=params.axis_deg + rng.normal(0, params.axis_jitter_deg, params.n_tilts),
        shift_ang_yx=params.pixel_ang * params.shift_px * _wander(tilt_deg, rng),
    )
    return Acquisition(
        tilt_deg=tilt_deg,
        order=order,
        # The specimen is described levelled, so its slope is part of the tilt geometry.
        alignment=stage.levelled((params.specimen_tilt_deg, params.specimen_xtilt_deg)).replace(
            thickness_ang=params.thickness_ang
        ),
        ctf=_focus(params, time, rng),
    )


def _dose_symmetric(tilt_deg: Floats) -> NDArray[np.int64]:
    """Return the place of each tilt in a series that starts in the middle and goes out in pairs.

    After Hagen: 0, +3, −3, −6, +6, +9, −9, ... so that the stage turns back every second image.
    """
    start = int(np.argmin(np.abs(tilt_deg)))
    steps = np.arange(len(tilt_deg)) - start
    ring = np.abs(steps)
    # In odd rings the positive side comes first, in even ones the negative side.
    second = np.where(ring % 2 == 1, steps < 0, steps > 0)
    order = np.empty(len(tilt_deg), np.int64)
    order[np.lexsort((second, ring))] = np.arange(len(tilt_deg))
    return order


def _wander(tilt_deg: Floats, rng: np.random.Generator) -> Floats:
    """Draw errors of centring, (N, 2), the largest of which is 1.

    A sweep over the tilts, as of a stage that is not at its eucentric height, and some jitter.
    """
    phases = rng.uniform(0, 2 * np.pi, 2)
    sweep: Floats = np.cos(np.deg2rad(2.0 * tilt_deg)[:, None] + phases)
    errors = sweep + 0.4 * rng.uniform(-1, 1, sweep.shape)
    return np.asarray(errors / np.abs(errors).max(), np.float64)


def _focus(params: SimulateParams, time: Floats, rng: np.random.Generator) -> CtfSeries:
    """Draw the defocus of every tilt: a mean, a smooth drift over time, and jitter."""
    drift = params.defocus_drift_um * np.sin(2 * np.pi * rng.uniform(0.4, 1.0) * time + rng.uniform(0, 2 * np.pi))
    jitter = params.defocus_jitter_um * rng.normal(size=params.n_tilts)
    mean_ang = 1e4 * (params.defocus_um + drift + jitter)
    azimuth_deg = rng.uniform(0, 180) + 15.0 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time)
    return CtfSeries(
        optics=Optics(params.voltage_kv, params.cs_mm, params.amplitude_contrast),
        defocus_u_ang=mean_ang + params.astigmatism_ang / 2,
        defocus_v_ang=mean_ang - params.astigmatism_ang / 2,
        azimuth_deg=azimuth_deg,
        phase_deg=np.array(params.phase_deg),
        hand=params.hand,
    )
