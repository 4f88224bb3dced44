"""Stage: averages back in the tomogram their particles come from."""

from napari_tomoflow.core.mapping_back.params import MapBackParams
from napari_tomoflow.core.model import Ensemble, MappedBack, Tomogram
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Allocate, Stage, in_memory

__all__ = ["MAP_BACK", "MapBackParams", "map_back"]


def map_back(
    tomogram: Tomogram,
    ensemble: Ensemble,
    *,
    params: MapBackParams = MapBackParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> MappedBack:
    """Place averages in a tomogram at the poses of their particles, and measure who is next to whom.

    Parameters
    ----------
    tomogram : Tomogram
        Only its grid counts; particles of other tomograms are left out, and so are those the average left out.
    ensemble : Ensemble
    params : MapBackParams
    report, allocate
        See `core.report` and `core.stage`.

    Returns
    -------
    MappedBack
        The painted volume is 1 at the surface of every average. ``quality`` has the surfaces, distances and turns of
        the nearest neighbours beside what chance would have, and radial distributions of species around species.

    Raises
    ------
    MissingError
        No averaged particle of the tomogram is left.
    DataError, ParamError
        Nothing stands out of an average, or there are more particles than labels.

    Notes
    -----
    The surface lies where Otsu's threshold parts an average within its mask from its background. Parts that are not
    connected to the body and smaller than a tenth of it count as noise. Radial distributions are corrected for the
    borders of the box the particles fill.
    """
    from napari_tomoflow.core.mapping_back.course import place_averages

    return place_averages(tomogram, ensemble, params, report, allocate)


MAP_BACK = Stage.of(map_back, version=1)
