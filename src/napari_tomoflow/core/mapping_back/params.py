"""Parameters of the stage `map_back`."""

from typing import Literal

from napari_tomoflow.core.params import Params, param

ColourBy = Literal["species", "class", "score", "neighbour"]
LabelBy = Literal["particle", "class", "species"]


class MapBackParams(Params):
    """Which averages are placed, and how that is shown."""

    species: str = param("", help="Kinds of particles, with commas between; empty for all that have an average.")
    score_min: float | None = param(None, help="Least score of a particle that is placed; empty places all.")
    uncounted: bool = param(False, help="Place particles, too, that the average left out.")
    level_sd: float | None = param(
        None, low=0, help="Surface, in standard deviations of each map above its background; empty finds it."
    )
    paint: Literal["max", "add"] = param(
        "max", help="Where averages overlap, the denser one counts (max), or their densities add up (add)."
    )
    colour_by: ColourBy = param(
        "species", help="What the colours tell: kind, class, score, or distance to the nearest neighbour."
    )
    label_by: LabelBy = param("particle", help="What the labels count: particles, classes or kinds.")
    n_neighbours: int = param(6, low=1, high=100, help="Neighbours listed of each particle, the nearest first.")
    radial_nm: float | None = param(
        None, unit="nm", low=1, high=1e5, help="How far the radial distribution goes; empty takes six diameters."
    )
