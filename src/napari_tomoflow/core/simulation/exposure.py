"""One exposure: light through bent, damaged matter onto a counting detector."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.ops import ctf
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.simulation.acquisition import Acquisition, acquire
from napari_tomoflow.core.simulation.deformation import Deformation, bend
from napari_tomoflow.core.simulation.faults import Faults, draw_faults
from napari_tomoflow.core.simulation.imaging import Camera
from napari_tomoflow.core.simulation.molecules import Matter
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.simulation.specimen import Population, grow
from napari_tomoflow.core.simulation.view import bent, look

Reals = NDArray[np.float32]

_MOST_COUNTS_IN_INT16 = 8000.0
"""Mean counts up to which a pixel as bright as four times the mean fits into int16."""


@dataclass(frozen=True)
class Scene:
    """Everything an exposure depends on, the tilt apart."""

    params: SimulateParams
    acquisition: Acquisition
    populations: list[Population]
    deformation: Deformation | None
    faults: Faults
    camera: Camera

    def expected(self, tilt: int, report: Report) -> Reals:
        """Return the counts to expect in each pixel of a tilt, before the detector."""
        params, camera = self.params, self.camera
        dose_mid = params.dose_per_tilt_e_ang2 * (self.acquisition.order[tilt] + 0.5)
        matrix = self.acquisition.alignment.image_from_sample()[tilt]
        objects = bent(self.populations, self.deformation, dose_mid)
        half = np.array([np.inf, camera.half_ang, camera.half_ang])
        damage = ctf.dose_envelope(camera.k_inv_ang, dose_mid, params.voltage_kv, params.damage)
        envelope = np.exp(-0.25 * params.envelope_b_ang2 * camera.k_inv_ang**2)
        phase_rft = np.zeros(camera.k_inv_ang.shape, np.complex64)
        kinds: tuple[Matter, ...] = get_args(Matter)
        for i, matter in enumerate(kinds):
            seen = camera.phase_rft(
                look(objects, matter, matrix, half), camera.transfer(tilt, matter), part(report, i, len(kinds))
            )
            # Metal does not mind the beam.
            fading = damage * envelope if matter == "soft" else envelope
            phase_rft += seen * fading.astype(np.float32)
        brightness = np.maximum(1.0 - 2.0 * camera.image(phase_rft), 0.0)
        return self.faults.spoil(tilt, np.float32(self._mean_counts(matrix)) * brightness)

    def counts(self, tilt: int, seed: np.random.SeedSequence, report: Report) -> NDArray[Any]:
        """Return the image of a tilt as the detector gives it."""
        params = self.params
        counts = self.expected(tilt, report)
        if params.noise:
            counts = np.random.default_rng(seed).poisson(counts).astype(np.float32)
        if params.mtf_at_nyquist < 1.0:
            counts = _blurred(counts, params.mtf_at_nyquist)
        return np.asarray(counts, image_type(params))

    def _mean_counts(self, matrix: NDArray[np.float64]) -> float:
        """Return the electrons per pixel that the ice lets through: Beer and Lambert, along the beam."""
        params = self.params
        path_ang = params.thickness_ang / max(abs(matrix[2, 2]), 0.02)
        through = np.exp(-path_ang / (10.0 * params.free_path_nm))
        return float(params.dose_per_tilt_e_ang2 * params.pixel_ang**2 * through)


def set_up(params: SimulateParams, seed: np.random.SeedSequence, report: Report = silent) -> Scene:
    """Draw the specimen and the errors of the microscope, each from a stream of its own."""
    stage, ice, motion, luck = map(np.random.default_rng, seed.spawn(4))
    acquisition = acquire(params, stage)
    return Scene(
        params=params,
        acquisition=acquisition,
        populations=grow(params, ice, report),
        deformation=bend(
            params.deformation_ang,
            params.field_ang,
            params.thickness_ang,
            params.n_tilts * params.dose_per_tilt_e_ang2,
            motion,
        ),
        faults=draw_faults(params, acquisition.tilt_deg, luck),
        camera=Camera(params.size_px, params.pixel_ang, acquisition.ctf),
    )


def image_type(params: SimulateParams) -> type[np.int16] | type[np.float32]:
    """Return int16 for whole counts that fit, float32 for everything else."""
    counts = params.dose_per_tilt_e_ang2 * params.pixel_ang**2
    whole = params.noise and params.mtf_at_nyquist == 1.0 and counts <= _MOST_COUNTS_IN_INT16
    return np.int16 if whole else np.float32


def _blurred(counts: Reals, mtf_at_nyquist: float) -> Reals:
    """Apply a Gaussian detector response that falls to `mtf_at_nyquist` at Nyquist."""
    ky, kx = ctf.rfft_frequencies((counts.shape[0], counts.shape[1]), 0.5)
    # In units of Nyquist, as the pixel is half a unit wide.
    response = mtf_at_nyquist ** (ky**2 + kx**2)
    blurred: Reals = scipy.fft.irfft2(scipy.fft.rfft2(counts) * response.astype(np.float32), s=counts.shape)
    return blurred
