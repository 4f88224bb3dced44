"""Parameters of the stage `match`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.params import Params, param

SearchKind = Literal["fast", "exhaustive"]
NullKind = Literal["random-phases", "mirrored"]


class MatchParams(Params):
    """How a tomogram is searched for a particle."""

    template: Path | None = param(
        None,
        help="What to look for: a map (.mrc, .map, .em) or an atomic model (.pdb, .cif); needed where none is made.",
    )
    rivals: tuple[Path, ...] = param(
        (),
        help="Maps or models of other particles in the same tomogram: what resembles one of them more than the "
        "template is left out. Each takes half as long again.",
    )
    species: str | None = param(None, help="Name of this kind of particle; left empty, the template's.")
    symmetry: str | None = param(
        None, help="Point group of the template about z (C7, D7, T, O, I); left empty, the template's own."
    )
    diameter_ang: float | None = param(
        None, unit="Å", low=10, high=10_000, help="Diameter of the particle; left empty, it is measured."
    )
    search: SearchKind = param(
        "fast",
        help="Coarsely first, then exactly where that found something (fast), or exactly everywhere (exhaustive).",
    )
    angular_step_deg: float | None = param(
        None,
        unit="°",
        low=1,
        high=60,
        help="Angle between orientations tried; left empty, the one at which the resolution moves the particle's rim.",
    )
    false_positives: float = param(
        1.0, low=0.001, high=1e5, help="How many wrong particles may be expected per tomogram: sets the threshold."
    )
    min_distance_ang: float | None = param(
        None, unit="Å", low=1, high=10_000, help="Least distance of two particles; left empty, 0.6 diameters."
    )
    at_most: int = param(10_000, low=1, high=1_000_000, help="Most particles that are kept, the best ones.")
    null: NullKind = param(
        "random-phases",
        help="What tells chance: the template with random phases, or its mirror image, which resembles every "
        "dense thing as the template does.",
    )
    hand_test: bool = param(
        False, help="Also look for the mirror image: whichever scores higher tells the tomogram's hand. Takes as long."
    )
    wedge_deg: tuple[float, float] = param(
        (-60.0, 60.0), unit="°", help="First and last tilt, where neither series nor alignment tells."
    )
    resolution_ang: float | None = param(
        None, unit="Å", low=1, high=1000, expert=True, help="Finest detail that is compared; left empty, 2.5 voxels."
    )
    whiten: bool = param(True, expert=True, help="Bring the tomogram's noise to one strength at all frequencies.")
    use_ctf: bool = param(True, expert=True, help="Give the template the contrast transfer of every tilt.")
    thickness_ang: float | None = param(
        None, unit="Å", low=10, high=1e6, help="Depth of the slab that is searched; left empty, all of the tomogram."
    )
    gold_sd: float = param(
        15.0,
        low=5,
        high=1000,
        expert=True,
        help="What stands out by so many standard deviations, smoothed over 20 Å, is gold and left out.",
    )
    top_hat: float = param(
        0.0,
        low=0,
        high=1,
        expert=True,
        help="Share of its height by which a peak must stand out of what is 0.3 diameters around; 0 keeps all.",
    )
    seed: int = param(0, low=0, high=2**31 - 1, expert=True, help="Start of the null template's random numbers.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if self.symmetry is not None:
            symmetry_operators(self.symmetry)
        if not -90 <= self.wedge_deg[0] < self.wedge_deg[1] <= 90:
            raise ValueError(f"wedge_deg cannot be {self.wedge_deg}; give the first and the last tilt, within ±90°.")
        return self
