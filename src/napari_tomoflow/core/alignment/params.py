"""Parameters of the `align` stage; they live below it because every step of an alignment reads them."""

from typing import Literal

from napari_tomoflow.core.params import Params, param


class AlignParams(Params):
    """How a tilt series is aligned."""

    axis_deg: float | None = param(
        None,
        unit="°",
        low=-360,
        high=360,
        help="Tilt axis, counter-clockwise from +y; left empty, near the imported one, or found.",
    )
    axis_range_deg: float = param(10.0, unit="°", low=0, high=90, help="How far beside that axis to look for it.")
    thickness_ang: float | None = param(
        None, unit="Å", low=1, high=1e6, help="Thickness of the specimen; left empty, 0.3 of the field, then measured."
    )
    landmarks: Literal["auto", "gold", "features", "patches", "none"] = param(
        "auto",
        help="What holds the images together at last; auto takes gold where there is enough of it, else features, "
        "and where these are few, features or patches, whichever expects less error.",
    )
    gold_diameter_nm: float | None = param(
        None, unit="nm", low=1, high=100, help="Diameter of the gold beads; left empty, found where there are any."
    )
    local: bool = param(
        True, help="Find how the beam bends the specimen; kept only where it predicts landmarks it was not fitted to."
    )
    level: bool = param(True, help="Lay the specimen flat where its slope can be measured.")
    max_shift: float = param(
        0.25, low=0.01, high=0.5, help="Largest jump from one tilt to the next, as a fraction of the field."
    )
    lowpass_ang: float | None = param(
        None, unit="Å", low=1, high=1e5, expert=True, help="Finest detail compared; left empty, four pixels at work."
    )
    highpass_ang: float | None = param(
        None,
        unit="Å",
        low=10,
        high=1e6,
        expert=True,
        help="Coarsest detail compared; left empty, a third of the field.",
    )
    passes: int = param(5, low=0, high=50, expert=True, help="Most passes of projection matching at each resolution.")
