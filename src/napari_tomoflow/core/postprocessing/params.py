"""How an average is finished."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from napari_tomoflow.core.params import Params, param


class PostprocessParams(Params):
    """Which average is finished, under which mask, and what its amplitudes are made like."""

    species: str = param("", help="Kinds of particle, with commas between; empty for all that have an average.")
    name: str = param("", help="Name of the result where the map is a file; empty takes that of the file.")
    map: Path | None = param(
        None, help="Map of a file instead of an average of the project: its first half, where --other-half is given."
    )
    other_half: Path | None = param(None, help="Second half of a map whose first half is --map.")
    mask: Path | None = param(None, help="Mask from 0 to 1 with a soft edge; empty makes one from the map.")
    model: Path | None = param(
        None,
        help="Map or atoms, in register from the centre, whose amplitudes the map is given around each voxel.",
    )
    structure_factor: Path | None = param(
        None, help="Table of frequency (1/Å) and intensity that the map is given instead of a B factor."
    )
    b_factor_ang2: float | None = param(
        None, unit="Å²", low=-2000, high=5000, help="Blur to undo, positive; empty fits it, 0 does not sharpen."
    )
    lowpass_ang: float | None = param(
        None, unit="Å", low=0.5, help="Finest detail of the result; empty takes the resolution."
    )
    mtf: Path | None = param(None, help="Table of frequency (cycles per pixel) and MTF of the detector, to be undone.")
    mtf_pixel_ang: float | None = param(
        None, unit="Å", low=0.01, help="Pixel of the detector the MTF is told for; empty takes that of the map."
    )
    local_resolution: bool = param(True, help="Measure the resolution around each voxel, and filter by it.")
    mask_lowpass_ang: float | None = param(
        None, unit="Å", low=1, expert=True, help="Detail the mask is made without; empty takes 15 Å or three voxels."
    )
    mask_extend_px: float = param(
        3.0, unit="px", low=0, high=100, expert=True, help="How far the mask reaches beyond the body."
    )
    fit_from_ang: float = param(
        10.0, unit="Å", low=2, high=100, expert=True, help="Coarsest detail the B factor is fitted to."
    )
    window_ang: float | None = param(
        None, unit="Å", low=2, expert=True, help="Width of windows for local measures; empty takes 3 resolutions."
    )
    seed: int = param(1, low=0, expert=True, help="Start of the random phases that tell what a mask adds.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what the types cannot tell."""
        if self.other_half is not None and self.map is None:
            raise ValueError("other_half is given without map; give the first half with --map.")
        if self.model is not None and self.structure_factor is not None:
            raise ValueError("model and structure_factor are both given; a map takes its amplitudes from one.")
        return self
