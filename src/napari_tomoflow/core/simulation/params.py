"""Parameters of the `simulate` stage; they live below it because specimen and microscope read them too."""

from typing import Literal, Self

from pydantic import model_validator

from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.params import Params, param


class SimulateParams(Params):
    """What to put into the ice, and how to look at it."""

    name: str = param("simulated", help="Name of the tilt series.")
    seed: int = param(1, low=0, help="Start of all random numbers: the same seed gives the same series.")

    size_px: int = param(512, unit="px", low=32, high=16384, help="Width and height of the images.")
    pixel_ang: float = param(8.0, unit="Å", low=0.2, high=100, help="Pixel size.")
    n_tilts: int = param(41, low=1, high=1000, help="Number of tilt images.")
    tilt_min_deg: float = param(-60.0, unit="°", low=-90, high=90, help="Lowest nominal tilt.")
    tilt_max_deg: float = param(60.0, unit="°", low=-90, high=90, help="Highest nominal tilt.")
    scheme: Literal["dose-symmetric", "monotonic"] = param("dose-symmetric", help="Order of acquisition.")
    dose_per_tilt_e_ang2: float = param(3.0, unit="e/Å²", low=0.01, high=1e4, help="Exposure of each image.")

    thickness_nm: float = param(150.0, unit="nm", low=10, high=2000, help="Thickness of the ice.")
    n_ribosomes: int = param(60, low=0, help="Ribosome-like molecules in the field; as dense around it.")
    n_proteasomes: int = param(20, low=0, help="Proteasome-like barrels (D7) in the field; as dense around it.")
    n_hooks: int = param(0, low=0, help="Small chiral molecules (80 Å hooks) in the field; as dense around it.")
    n_gold: int = param(12, low=0, help="Gold beads in the field; as dense around it.")
    gold_diameter_nm: float = param(10.0, unit="nm", low=1, high=100, help="Diameter of the gold beads.")
    n_vesicles: int = param(2, low=0, help="Vesicles with a lipid bilayer in the field; as dense around it.")
    vesicle_diameter_nm: float = param(90.0, unit="nm", low=20, high=1000, help="Mean diameter of the vesicles.")
    n_contaminants: int = param(0, low=0, help="Lumps of crystalline ice on both surfaces; as dense around the field.")
    deformation_ang: float = param(0.0, unit="Å", low=0, high=500, help="RMS beam-induced deformation at the end.")

    defocus_um: float = param(4.0, unit="µm", low=-50, high=50, help="Mean defocus; underfocus is positive.")
    defocus_jitter_um: float = param(0.03, unit="µm", low=0, high=10, help="SD of the defocus from tilt to tilt.")
    defocus_drift_um: float = param(0.1, unit="µm", low=0, high=10, help="Largest smooth change of the defocus.")
    astigmatism_ang: float = param(200.0, unit="Å", low=0, high=1e5, help="Difference of the two defocus values.")
    phase_deg: float = param(0.0, unit="°", low=-180, high=180, help="Phase shift of a phase plate.")
    hand: Literal[-1, 1] = param(-1, help="Sign of defocus = defocus of the tilt + hand × height.")
    shift_px: float = param(10.0, unit="px", low=0, high=4096, help="Largest error of image centring, along x or y.")
    axis_deg: float = param(85.0, unit="°", low=-360, high=360, help="Tilt axis, counter-clockwise from +y.")
    axis_jitter_deg: float = param(0.1, unit="°", low=0, high=10, help="SD of the tilt axis from tilt to tilt.")
    tilt_error_deg: float = param(0.1, unit="°", low=0, high=10, help="SD of the true tilt about the nominal one.")
    specimen_tilt_deg: float = param(0.0, unit="°", low=-45, high=45, help="Tilt of the ice at stage tilt 0.")
    specimen_xtilt_deg: float = param(0.0, unit="°", low=-45, high=45, help="Slope of the ice along the tilt axis.")

    noise: bool = param(True, help="Count electrons; otherwise the images are the expected counts.")
    density_voxel_ang: float | None = param(None, unit="Å", low=0.2, help="Voxel of the true density; empty for none.")

    voltage_kv: float = param(300.0, unit="kV", low=60, high=1000, expert=True, help="Acceleration voltage.")
    cs_mm: float = param(2.7, unit="mm", low=0, high=10, expert=True, help="Spherical aberration.")
    amplitude_contrast: float = param(0.07, low=0, high=1, expert=True, help="Fraction of amplitude contrast.")
    damage: DoseModel = param("grant-grigorieff", expert=True, help="How exposure fades the finer detail.")
    envelope_b_ang2: float = param(
        0.0, unit="Å²", low=0, high=1e5, expert=True, help="B-factor of the microscope's envelope."
    )
    mtf_at_nyquist: float = param(1.0, low=0.01, high=1, expert=True, help="Detector response at Nyquist; 1 is ideal.")
    free_path_nm: float = param(
        300.0, unit="nm", low=10, high=1e6, expert=True, help="Mean free path in ice of the electrons counted."
    )
    axis_error_deg: float = param(
        0.0, unit="°", low=-360, high=360, expert=True, help="How far the axis on file is from the true one."
    )
    n_dead_tilts: int = param(0, low=0, expert=True, help="Images that missed the beam.")
    n_shadowed_tilts: int = param(0, low=0, expert=True, help="Highest tilts with a grid bar across one side.")
    n_swapped_tilts: int = param(0, low=0, expert=True, help="Pairs of images with each other's angle on file.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if self.n_tilts > 1 and not self.tilt_min_deg < self.tilt_max_deg:
            raise ValueError(
                f"tilt_min_deg {self.tilt_min_deg:g} is not below tilt_max_deg {self.tilt_max_deg:g}; swap them."
            )
        spoilt = self.n_dead_tilts + self.n_shadowed_tilts + 2 * self.n_swapped_tilts
        if spoilt > self.n_tilts:
            raise ValueError(f"{spoilt} tilts are to be spoilt but there are only {self.n_tilts}; ask for fewer.")
        return self

    @property
    def field_ang(self) -> float:
        """Width of the images in the specimen."""
        return self.size_px * self.pixel_ang

    @property
    def thickness_ang(self) -> float:
        """Thickness of the ice, Å."""
        return 10.0 * self.thickness_nm
