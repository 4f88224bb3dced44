"""An alignment in one STAR file: its tilts, and the landmarks and the deformation where it has them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Deformation, Landmarks
from napari_tomoflow.io.columns import alignment_from_table, column, table_from_alignment
from napari_tomoflow.io.star import Blocks, read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

ALIGNMENT_STAR = "alignment.star"

_RECORD = (
    "tomoflowLevelY", "tomoflowLevelX",
    "tomoflowCentreZAngst", "tomoflowCentreYAngst", "tomoflowCentreXAngst", "tomoflowThicknessAngst",
)  # fmt: skip
_POINT_COLUMNS = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "ZYX")
_SEEN_COLUMNS = ("tomoflowMeasuredYAngst", "tomoflowMeasuredXAngst")
_NODE_COLUMNS = ("tomoflowDisplacementYAngst", "tomoflowDisplacementXAngst")
_SLOPE_COLUMNS = ("tomoflowSlopeY", "tomoflowSlopeX")
_NODE_INDICES = ("tomoflowTilt", "tomoflowNodeRow", "tomoflowNodeColumn")


def save_alignment(alignment: Alignment, folder: Path) -> None:
    """Write ``alignment.star``."""
    values = (*alignment.level_deg_yx, *alignment.centre_ang_zyx, alignment.thickness_ang or 0.0)
    general: dict[str, Any] = dict(zip(_RECORD, values, strict=True))
    tables = {"alignment": table_from_alignment(alignment)}
    if alignment.landmarks is not None:
        general |= {
            "tomoflowLandmarkKind": alignment.landmarks.kind,
            "tomoflowLandmarkSizeAngst": alignment.landmarks.size_ang or 0.0,
        }
        tables |= _landmark_tables(alignment.landmarks)
    if alignment.deformation is not None:
        general |= dict(zip(("tomoflowFieldY", "tomoflowFieldX"), alignment.deformation.field_ang_yx, strict=True))
        tables["deformation"] = _node_table(alignment.deformation)
    write_star(folder / ALIGNMENT_STAR, {"general": general, **tables})


def load_alignment(folder: Path) -> Alignment:
    """Read ``alignment.star``.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = folder / ALIGNMENT_STAR
    blocks = read_star(path)
    general = cast(dict[str, Any], blocks.get("general", {}))
    record = [float(general.get(name, 0.0)) for name in _RECORD]
    return alignment_from_table(
        table_of(blocks, "rlnTomoYTilt", path),
        level_deg_yx=(record[0], record[1]),
        centre_ang_zyx=(record[2], record[3], record[4]),
        thickness_ang=record[5] or None,
        landmarks=_landmarks(blocks, general, path) if "tomoflowLandmarkKind" in general else None,
        deformation=_deformation(blocks, general, path) if "tomoflowFieldY" in general else None,
    )


def _landmark_tables(landmarks: Landmarks) -> "dict[str, pd.DataFrame]":
    import pandas as pd

    points = pd.DataFrame(dict(zip(_POINT_COLUMNS, landmarks.points_ang_zyx.T, strict=True)))
    seen = pd.DataFrame(
        {
            "tomoflowTilt": landmarks.tilt,
            "tomoflowPoint": landmarks.point,
            **dict(zip(_SEEN_COLUMNS, landmarks.position_ang_yx.T, strict=True)),
            "tomoflowWeight": landmarks.weight,
        }
    )
    return {"landmarks": points, "measurements": seen}


def _landmarks(blocks: Blocks, general: dict[str, Any], path: Path) -> Landmarks:
    points = table_of(blocks, _POINT_COLUMNS[0], path)
    seen = table_of(blocks, _SEEN_COLUMNS[0], path)
    return Landmarks(
        kind=general["tomoflowLandmarkKind"],
        points_ang_zyx=np.stack([column(points, name) for name in _POINT_COLUMNS], axis=1),
        tilt=column(seen, "tomoflowTilt").astype(np.int64),
        point=column(seen, "tomoflowPoint").astype(np.int64),
        position_ang_yx=np.stack([column(seen, name) for name in _SEEN_COLUMNS], axis=1),
        weight=column(seen, "tomoflowWeight"),
        size_ang=float(general.get("tomoflowLandmarkSizeAngst", 0.0)) or None,
    )


def _node_table(deformation: Deformation) -> "pd.DataFrame":
    import pandas as pd

    indices = np.indices(deformation.nodes_ang_yx.shape[:3]).reshape(3, -1)
    columns = dict(zip(_NODE_INDICES, indices, strict=True))
    columns |= dict(zip(_NODE_COLUMNS, deformation.nodes_ang_yx.reshape(-1, 2).T, strict=True))
    if deformation.slopes_yx is not None:
        columns |= dict(zip(_SLOPE_COLUMNS, deformation.slopes_yx.reshape(-1, 2).T, strict=True))
    return pd.DataFrame(columns)


def _deformation(blocks: Blocks, general: dict[str, Any], path: Path) -> Deformation:
    table = table_of(blocks, _NODE_COLUMNS[0], path)
    at = tuple(column(table, name).astype(np.int64) for name in _NODE_INDICES)
    shape = tuple(int(index.max()) + 1 for index in at)
    if len(table) != np.prod(shape):
        raise DataError(f"{path}: {len(table)} nodes do not fill a grid of {shape}; write the file again.")

    def on_grid(names: tuple[str, ...]) -> NDArray[np.float64]:
        grid = np.full((*shape, 2), np.nan)
        grid[at] = np.stack([column(table, name) for name in names], axis=1)
        return grid

    return Deformation(
        nodes_ang_yx=on_grid(_NODE_COLUMNS),
        field_ang_yx=(float(general["tomoflowFieldY"]), float(general["tomoflowFieldX"])),
        slopes_yx=on_grid(_SLOPE_COLUMNS) if _SLOPE_COLUMNS[0] in table else None,
    )
