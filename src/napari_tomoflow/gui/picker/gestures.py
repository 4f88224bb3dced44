"""What the mouse does in a plane of the specimen, whichever window shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from napari_tomoflow.gui.picker.planes import Plane


@dataclass(frozen=True)
class Gesture:
    """What the mouse does in a pane.

    Attributes
    ----------
    phase : {"click", "start", "drag", "end", "hover", "step"}
        ``start``, ``drag`` and ``end`` belong to one movement with the left button down; ``step`` is the
        wheel turned with Ctrl down.
    plane : Plane
    right_ang, down_ang : float
        Where, in the plane; of a step, `right_ang` is how many steps.
    pixel_ang : float
        Length of one pixel of the screen.
    extends : bool
        Shift or Ctrl is down: what is selected stays selected.
    """

    phase: Literal["click", "start", "drag", "end", "hover", "step"]
    plane: Plane
    right_ang: float
    down_ang: float
    pixel_ang: float
    extends: bool = False


Handler = Callable[[Gesture], bool]
"""Takes a gesture; False leaves it to who shows the pane, which then pans."""
