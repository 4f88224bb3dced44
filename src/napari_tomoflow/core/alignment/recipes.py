"""Which balls of the specimen are followed, and how: features, each by itself, and patches, many together."""

from dataclasses import dataclass
from typing import NamedTuple

from napari_tomoflow.core.alignment.selection import Selection
from napari_tomoflow.core.model.landmarks import Kind


class Round(NamedTuple):
    """How far around their predictions places are looked for, whether they are chosen anew, and if steps grow."""

    reach_px: int
    anew: bool
    overshoot: bool


@dataclass(frozen=True)
class Recipe:
    """Which balls are taken and how they are measured.

    Attributes
    ----------
    kind : {"feature", "patch"}
    radius_px : int
        Of a ball.
    selection : Selection
    least_height : float
        A sighting counts when its peak stands out of the noise by this factor; false ones are weighed down later.
    sure_height : float
        A landmark counts when it stands out by this factor in enough tilts.
    rounds : tuple of Round
    """

    kind: Kind
    radius_px: int
    selection: Selection
    least_height: float
    sure_height: float
    rounds: tuple[Round, ...]


FEATURES = Recipe(
    kind="feature",
    # A large molecule or a piece of a membrane fits in, its neighbours do not.
    radius_px=16,
    selection=Selection(most=100, apart_of_field=0.05),
    least_height=1.5,
    sure_height=1.5,
    # A start wrong by two pixels and two degrees is right to a fraction of a pixel after two; the rest polishes.
    rounds=(
        Round(5, anew=True, overshoot=True),
        Round(3, anew=False, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(2, anew=False, overshoot=False),
    ),
)
"""Dense places, each found by itself."""

PATCHES = Recipe(
    kind="patch",
    radius_px=16,
    # Some twenty balls to a patch, at all heights.
    selection=Selection(most=300, apart_of_field=0.045, neighbourhoods=4),
    least_height=2.0,
    # The highest of all places searched in noise comes to 2.4 on average.
    sure_height=3.5,
    # Where little is seen the steps are uncertain too, and it takes one round more than for features.
    rounds=(
        Round(5, anew=True, overshoot=True),
        Round(4, anew=True, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(2, anew=True, overshoot=False),
    ),
)
"""Neighbourhoods whose places are too faint to be found one by one.

A patch that is compared as a whole sees only its nearest tilts, so nothing of a slow drift shows in it. Here a
patch adds up what small balls say, each of which all tilts tell of.
"""
