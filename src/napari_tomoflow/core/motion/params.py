"""Parameters of the `motion` stage."""

from typing import Literal

from napari_tomoflow.core.params import Params, param

Orientation = Literal[
    "found", "as-is", "turned-90", "turned-180", "turned-270", "flipped-x", "flipped-y", "transposed", "antitransposed"
]
"""How a gain reference is laid on the frames; turns are counter-clockwise with y up."""


class MotionParams(Params):
    """How the frames of each tilt are aligned and summed."""

    gain_orientation: Orientation = param(
        "found", help="How the gain reference lies on the frames; found by comparing all eight ways with them."
    )
    hot_pixel_sd: float = param(
        6.0, low=0, high=1000, help="Isolated pixels this many standard deviations off are replaced; 0 keeps them."
    )
    largest_motion_ang: float = param(100.0, unit="Å", low=1, high=1e4, help="Farthest a frame is looked for.")
    patches: int = param(
        1,
        low=1,
        high=16,
        help="Patches along either edge whose own motion is looked for, and kept where frames it was not fitted to "
        "agree better; 1 moves whole frames.",
    )
    weighting: Literal["none", "dose"] = param(
        "none", help="Whether later frames of a tilt count less for fine detail, by the exposure they have had."
    )
    halves: Literal["frames", "none"] = param(
        "frames", help="Also sum odd and even frames alone, to denoise and to measure the resolution."
    )
    dtype: Literal["float32", "float16"] = param("float32", expert=True, help="Type of the stored sums.")
    group: int | None = param(
        None, low=1, high=1000, expert=True, help="Frames aligned as one; left empty, as many as give 0.25 e/Å²."
    )
    b_factor_ang2: float = param(
        1000.0,
        unit="Å²",
        low=0,
        high=1e5,
        expert=True,
        help="How much less fine detail counts when frames are aligned.",
    )
    smooth: bool = param(True, expert=True, help="Smooth trajectories as far as their own scatter calls for it.")
