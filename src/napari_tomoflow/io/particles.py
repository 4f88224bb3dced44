"""Particle tables with RELION 5's columns; whatever else a table holds is kept as features.

RELION says once for all particles, or once for each optics group, what is the same for many. Here each
particle carries it as features, which are taken together again when a table is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import numbers, scores, whole_numbers
from napari_tomoflow.io.optics_groups import GROUP, OF_GROUP
from napari_tomoflow.io.star import Blocks, read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

CENTERS = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
COORDINATES = tuple(f"rlnCoordinate{axis}" for axis in "XYZ")
ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_SUBTOMOGRAM_ANGLES = tuple(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi"))
_QUATERNION = tuple(f"tomoflowQuaternion{part}" for part in "XYZW")
_STACKS = "rlnTomoSubTomosAre2DStacks"
_IMAGE = "rlnImageName"
TEXT_FEATURES = ("species",)

_KNOWN = {
    "rlnTomoName", "rlnClassNumber", "rlnRandomSubset", "tomoflowId", "tomoflowScore",
    *CENTERS, *COORDINATES, *ORIGINS, *_ANGLES, *_SUBTOMOGRAM_ANGLES, *_QUATERNION,
}  # fmt: skip


def write_particles(path: Path, particles: ParticleSet) -> None:
    """Write a particle set as a table RELION 5 reads; our quaternions beside the angles keep every digit."""
    centers = _spread(CENTERS, particles.centers_ang_zyx[:, ::-1])
    write_star(path, blocks_of(particles, centers))


def blocks_of(particles: ParticleSet, placed: dict[str, NDArray[Any]]) -> Blocks:
    """Lay particles out as the blocks of RELION's file, with the columns that say where they are."""
    import pandas as pd

    columns: dict[str, NDArray[Any]] = {
        "rlnTomoName": particles.tomogram,
        **placed,
        **_spread(_ANGLES, poses.relion_from_matrices(particles.matrices)),
        **_spread(_QUATERNION, particles.quaternions_xyzw),
        "rlnClassNumber": particles.class_ids,
        "rlnRandomSubset": particles.half,
        "tomoflowId": particles.ids,
        "tomoflowScore": particles.score,
    }
    features = {name: values for name, values in particles.features.items() if name not in columns}
    table = pd.DataFrame({**columns, **features})
    stacks = table.pop(_STACKS) if _STACKS in table.columns else [0]
    blocks: Blocks = {"general": {_STACKS: int(max(stacks, default=0))}}
    shared = [name for name in OF_GROUP if name in features]
    if GROUP in features and shared:
        groups = table[[GROUP, *shared]].drop_duplicates(ignore_index=True)
        if groups[GROUP].is_unique:
            blocks["optics"] = groups
            table = table.drop(columns=shared)
    return blocks | {"particles": table}


def read_particles(path: Path) -> ParticleSet:
    """Read a particle set; RELION's origins and subtomogram angles are applied, not kept.

    Raises
    ------
    DataError
        The file is no STAR file or has no centred coordinates.
    """
    table = table_with_optics(path, CENTERS)
    return particles_from_table(path, table, gather(path, table, CENTERS), gather(path, table, ORIGINS))


def table_with_optics(path: Path, positions: tuple[str, ...]) -> "pd.DataFrame":
    """Read the table of a STAR file that has positions, with what is said once for all or for each optics group.

    Raises
    ------
    DataError
        The file is no STAR file or has no such table.
    """
    blocks = read_star(path, text_columns=TEXT_FEATURES)
    table = table_of(blocks, positions[0], path)
    lacking = [name for name in positions if name not in table.columns]
    if lacking:
        raise DataError(f"{path} has no column {lacking[0]}, as picks on micrographs; give particles of a tomogram.")
    for name, block in blocks.items():
        values = block if isinstance(block, dict) else {}
        if values.get(_STACKS):
            table[_STACKS] = values[_STACKS]
        if name == "optics" and GROUP in block and GROUP in table.columns:
            table = _with_groups(path, table, block)
    return table


def particles_from_table(
    path: Path, table: "pd.DataFrame", positions_ang_xyz: Floats, origins_ang_xyz: Floats
) -> ParticleSet:
    """Make particles of RELION's columns and the positions they were cut at.

    Parameters
    ----------
    path : Path
        Of the table, for the messages.
    table : DataFrame
    positions_ang_xyz : float64[P, 3]
        Å from the centre.
    origins_ang_xyz : float64[P, 3]
        Refined shifts, which RELION takes off in the frame of the subtomogram.

    Raises
    ------
    DataError
        An angle or a whole number is none; the text names the file, the column and the particle.
    """
    p = len(table)
    subtomogram = poses.matrices_from_relion(gather(path, table, _SUBTOMOGRAM_ANGLES))
    if _QUATERNION[0] in table.columns:
        turns = gather(path, table, _QUATERNION)
    else:
        particle = poses.matrices_from_relion(gather(path, table, _ANGLES))
        turns = poses.quaternions_from_matrices(subtomogram @ particle)
    shifts = np.einsum("pij,pj->pi", subtomogram, origins_ang_xyz)
    given: dict[str, Any] = {"ids": _whole(path, table, "tomoflowId")} if "tomoflowId" in table.columns else {}
    return ParticleSet(
        centers_ang_zyx=(positions_ang_xyz - shifts)[:, ::-1],
        quaternions_xyzw=turns,
        tomogram=np.array(table["rlnTomoName"] if "rlnTomoName" in table.columns else [""] * p, dtype=np.str_),
        class_ids=_whole(path, table, "rlnClassNumber"),
        half=_whole(path, table, "rlnRandomSubset"),
        score=scores(path, "tomoflowScore", table.get("tomoflowScore", np.full(p, np.nan))),
        features={str(name): _plain(table[name]) for name in table.columns if name not in _KNOWN},
        quality=_cut_elsewhere(table, shifts),
        **given,
    )


def gather(path: Path, table: "pd.DataFrame", names: tuple[str, ...]) -> Floats:
    """Return columns side by side, zeros for those that are not there.

    Raises
    ------
    DataError
        An entry is no number.
    """
    return numbers(path, {name: table.get(name, np.zeros(len(table))) for name in names})


def _with_groups(path: Path, table: "pd.DataFrame", block: Any) -> "pd.DataFrame":
    """Give every particle what its optics group says."""
    import pandas as pd

    groups = pd.DataFrame([block]) if isinstance(block, dict) else block
    for one in (groups, table):
        one[GROUP] = _whole(path, one, GROUP)
    news = [name for name in groups.columns if name == GROUP or name not in table.columns]
    if groups[GROUP].duplicated().any():
        return table
    return table.merge(groups[news], on=GROUP, how="left")


def _cut_elsewhere(table: "pd.DataFrame", shifts_ang: Floats) -> dict[str, Any]:
    """Warn of images that were cut where the particles no longer are."""
    far_ang = float(np.linalg.norm(shifts_ang, axis=1).max(initial=0.0))
    if _IMAGE not in table.columns or far_ang < 1e-3:
        return {}
    sentence = (
        f"Shifts of up to {far_ang:.1f} Å are taken into the positions: images named in {_IMAGE} were cut "
        "before them, so extract particles again before refining with this table."
    )
    return {"warnings": [sentence]}


def _whole(path: Path, table: "pd.DataFrame", name: str) -> NDArray[np.int64]:
    return whole_numbers(path, name, table.get(name, np.zeros(len(table))))


def _plain(values: "pd.Series[Any]") -> NDArray[Any]:
    return values.to_numpy() if values.dtype.kind in "iufb" else np.array(values, dtype=np.str_)


def _spread(names: tuple[str, ...], columns: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: columns[:, place] for place, name in enumerate(names)}
