"""Particle tables with RELION 5's columns; whatever else a table holds is kept as features."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import column_if_any
from napari_tomoflow.io.star import read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

_CENTERS = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
_ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_SUBTOMOGRAM_ANGLES = tuple(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi"))
_QUATERNION = tuple(f"tomoflowQuaternion{part}" for part in "XYZW")


def write_particles(path: Path, particles: ParticleSet) -> None:
    """Write a particle set as a table RELION 5 reads; our quaternions beside the angles keep every digit."""
    import pandas as pd

    angles_deg = poses.relion_from_matrices(particles.matrices)
    columns: dict[str, NDArray[Any]] = {
        "rlnTomoName": particles.tomogram,
        **_spread(_CENTERS, particles.centers_ang_zyx[:, ::-1]),
        **_spread(_ANGLES, angles_deg),
        **_spread(_QUATERNION, particles.quaternions_xyzw),
        "rlnClassNumber": particles.class_ids,
        "rlnRandomSubset": particles.half,
        "tomoflowId": particles.ids,
        "tomoflowScore": particles.score,
    }
    features = {name: values for name, values in particles.features.items() if name not in columns}
    table = pd.DataFrame({**columns, **features})
    write_star(path, {"general": {"rlnTomoSubTomosAre2DStacks": 0}, "particles": table})


def read_particles(path: Path) -> ParticleSet:
    """Read a particle set; RELION's origins and subtomogram angles are applied, not kept.

    Raises
    ------
    DataError
        The file is no STAR file or has no centred coordinates.
    """
    table = table_of(read_star(path, text_columns=("species",)), _CENTERS[0], path)
    p = len(table)
    known = {"rlnTomoName", "rlnClassNumber", "rlnRandomSubset", "tomoflowId", "tomoflowScore"}
    known.update(_CENTERS, _ORIGINS, _ANGLES, _SUBTOMOGRAM_ANGLES, _QUATERNION)
    centers_xyz, turns = _placed(table)
    given: dict[str, Any] = {"ids": _whole(table, "tomoflowId")} if "tomoflowId" in table.columns else {}
    return ParticleSet(
        centers_ang_zyx=centers_xyz[:, ::-1],
        quaternions_xyzw=turns,
        tomogram=np.array(table["rlnTomoName"] if "rlnTomoName" in table.columns else [""] * p, dtype=np.str_),
        class_ids=_whole(table, "rlnClassNumber"),
        half=_whole(table, "rlnRandomSubset"),
        score=_one(table, "tomoflowScore", np.nan),
        features={str(name): _plain(table[name]) for name in table.columns if name not in known},
        **given,
    )


def _placed(table: "pd.DataFrame") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (x, y, z) and quaternions with RELION's two-step pose multiplied out."""
    subtomogram = poses.matrices_from_relion(_gather(table, _SUBTOMOGRAM_ANGLES))
    if _QUATERNION[0] in table.columns:
        turns = _gather(table, _QUATERNION)
    else:
        particle = poses.matrices_from_relion(_gather(table, _ANGLES))
        turns = poses.quaternions_from_matrices(subtomogram @ particle)
    origins = np.einsum("pij,pj->pi", subtomogram, _gather(table, _ORIGINS))
    return _gather(table, _CENTERS) - origins, turns


def _gather(table: "pd.DataFrame", names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return columns side by side, zeros for those that are not there."""
    return np.stack([_one(table, name, 0.0) for name in names], axis=1)


def _one(table: "pd.DataFrame", name: str, default: float) -> NDArray[np.float64]:
    values = column_if_any(table, name)
    return np.full(len(table), default) if values is None else values


def _whole(table: "pd.DataFrame", name: str) -> NDArray[np.int64]:
    return _one(table, name, 0.0).astype(np.int64)


def _plain(values: "pd.Series[Any]") -> NDArray[Any]:
    return values.to_numpy() if values.dtype.kind in "iufb" else np.array(values, dtype=np.str_)


def _spread(names: tuple[str, ...], columns: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: columns[:, place] for place, name in enumerate(names)}
