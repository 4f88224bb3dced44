"""The place one looks at, as the sliders of a viewer say it."""

from typing import Any, cast

Place = tuple[float, float, float]
"""(z, y, x) in Å."""


def look_at(viewer: Any, place_ang_zyx: Place) -> None:
    """Set the viewer's sliders to a place."""
    first = viewer.dims.ndim - 3
    viewer.dims.set_point(range(first, first + 3), place_ang_zyx)


def place_in_view(viewer: Any, kept: Place) -> Place:
    """Return the place the viewer's sliders say, given the one looked at before.

    The sliders of axes in view do not say where one looks; only the one across does.
    """
    shown = viewer.dims.displayed
    first = viewer.dims.ndim - 3
    point = viewer.dims.point[-3:]
    if tuple(float(value) for value in point) == kept:
        return kept
    return cast(Place, tuple(kept[axis] if first + axis in shown else float(point[axis]) for axis in range(3)))
