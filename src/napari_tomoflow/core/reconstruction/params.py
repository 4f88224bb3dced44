"""Parameters of the stage `reconstruct`."""

from typing import Literal, Self

from pydantic import model_validator

from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.params import Params, param

CtfFilter = Literal["flip", "multiply"]
"""What an image's transform is multiplied with: the sign of the CTF, or the CTF."""

Weighting = Literal["ramp", "exact", "sirt-like", "none"]
"""What the lines of an image are multiplied with in Fourier space."""


class ReconstructParams(Params):
    """How an aligned tilt series becomes a tomogram."""

    method: Literal["wbp", "tiles", "sirt", "sart"] = param(
        "wbp",
        help="Way to compute: weighted back-projection (wbp), Fourier inversion in tiles, "
        "or iterations with all tilts at once (sirt) or a few (sart).",
    )
    bin: int | None = param(
        None, low=1, high=64, help="Pixels per voxel, by Fourier crop; left empty, the voxel comes out near 10 Å."
    )
    voxel_ang: float | None = param(
        None, unit="Å", low=0.01, high=1e7, help="Width of a voxel, any not below the pixel's; instead of bin."
    )
    thickness_ang: float | None = param(
        None,
        unit="Å",
        low=1,
        high=1e8,
        help="Depth of the tomogram; left empty, 1.3 × the specimen found by align, "
        "or a quarter of the image width (all of it beyond 75° tilt).",
    )
    width_ang: float | None = param(
        None, unit="Å", low=1, high=1e8, help="Width of the tomogram across the tilt axis; left empty, the images'."
    )
    height_ang: float | None = param(
        None, unit="Å", low=1, high=1e8, help="Height of the tomogram along the tilt axis; left empty, the images'."
    )
    dtype: Literal["float32", "float16", "int16", "int8"] = param("float32", help="Number type of the tomogram.")
    weighting: Weighting | None = param(
        None,
        help="Weighting of wbp: ramp for averaging, exact for uneven angles, sirt-like for looking, as if iterated; "
        "left empty, sirt-like where matter is dark (cryo), ramp where bright (STEM).",
    )
    angular_weights: bool = param(True, help="Weight each tilt by the angle to its neighbours, for uneven steps.")
    normalise: bool = param(
        True, help="Bring each image to mean 0 and standard deviation 1; switch off for calibrated series."
    )
    flatten: bool = param(False, help="Take the slow slope of ice or beam out of each image.")
    erase_beads: bool = param(
        False, help="Fill gold beads with what surrounds them; needs an alignment that followed gold."
    )
    cosine_weights: bool = param(
        False, expert=True, help="Weight each image by the cosine of its tilt as well, for thick specimens."
    )
    ctf: Literal["none", "strips", "slabs"] = param(
        "none",
        help="Correct for the CTF: none; in strips, with the defocus of the plane z = 0; "
        "or in slabs, with that of every voxel (3D-CTF). Tiles take that of their centre.",
    )
    ctf_filter: CtfFilter = param(
        "flip", expert=True, help="Flip the phases where the CTF is negative, or multiply with the CTF."
    )
    dose_weighting: DoseModel = param(
        "none",
        help="Fade each image's detail with the exposure before it: for looking. For matching and averaging keep none, "
        "where it belongs into the weights.",
    )
    deconvolve: bool = param(
        False,
        help="Give back coarse contrast that the CTF took, noise suppressed (Tegunov's filter); for looking, "
        "not for matching and averaging.",
    )
    deconvolve_strength: float = param(
        1.0,
        low=-2,
        high=5,
        expert=True,
        help="Signal over noise that is assumed for coarse detail: 10 to the power of three times this.",
    )
    deconvolve_falloff: float = param(
        1.0, low=0, high=100, expert=True, help="How fast the assumed signal falls towards fine detail."
    )
    halves: Literal["none", "tilts", "frames"] = param(
        "none",
        help="Also reconstruct odd and even tilts alone, or all tilts from odd and from even frames, "
        "to measure the resolution and to denoise.",
    )
    iterations: int | None = param(
        None,
        low=1,
        high=1000,
        help="Iterations of sirt and sart; left empty, until half of the tilts no longer predicts the other better "
        "(10 for the sirt-like weighting).",
    )
    warm_start: bool = param(False, help="Start sirt and sart from the weighted back-projection; for fine detail.")
    positive: bool = param(
        False, help="Keep sirt and sart from going below 0; for bright matter in a vacuum, as in a STEM series."
    )
    tilts_per_update: int = param(3, low=1, high=1000, expert=True, help="Tilts that sart uses at a time.")
    relax: float | None = param(
        None, low=0.01, high=1.9, expert=True, help="Length of a step; left empty, 1 for sirt and 0.3 for sart."
    )
    cutoff_per_px: float = param(
        0.35, unit="cycles/px", low=0.01, high=0.5, expert=True, help="Frequency above which the images fade out."
    )
    rolloff_per_px: float = param(
        0.05, unit="cycles/px", low=0.001, high=0.5, expert=True, help="Standard deviation of that Gaussian fade-out."
    )
    low_frequency: float = param(
        0.2, low=0, high=10, expert=True, help="Weight of frequency 0, in units of the first frequency's."
    )
    edge_taper: float = param(
        0.05, low=0, high=1, expert=True, help="Margin in which an image fades out beyond its border, over its width."
    )

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if self.ctf == "slabs" and self.method in ("sirt", "sart"):
            raise ValueError(f"ctf slabs does not go with method {self.method}; choose ctf strips, or method wbp.")
        if self.bin is not None and self.voxel_ang is not None:
            raise ValueError("bin and voxel_ang both say how wide a voxel is; give one of them.")
        if self.deconvolve and self.ctf != "none" and self.ctf_filter == "multiply":
            raise ValueError("deconvolve does not go with ctf_filter multiply; choose flip.")
        return self
