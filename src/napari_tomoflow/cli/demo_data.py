"""What the demo works on: the sample series, a cell simulated on the spot and, beside the checkout, measured series."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import napari_tomoflow
from napari_tomoflow.core.errors import MissingError

_CHECKOUT = Path(napari_tomoflow.__file__).parents[2]
_DATA_VARIABLE = "TOMOFLOW_TEST_DATA"
_TA_PIXEL_ANG = 1.0
"""Nominal: the files of the Ta film do not say their pixel size."""

SPECIES, DIAMETER_ANG = "ribosome", 300.0
"""What the demo averages."""

_TEMPLATE_VOXEL_ANG = 13.5
_CELL: dict[str, Any] = {
    "size_px": 320,
    "pixel_ang": 6.0,
    "n_tilts": 31,
    "thickness_nm": 100.0,
    "n_ribosomes": 60,
    "n_proteasomes": 10,
    "n_vesicles": 0,
    "defocus_um": 3.0,
    "shift_px": 8.0,
    "axis_deg": 85.3,
}
"""Small enough for a minute of work at each stage, with pixels fine enough to average in."""


@dataclass(frozen=True)
class Example:
    """A series the demo runs on.

    Attributes
    ----------
    name : str
    stack : pathlib.Path
    given : dict
        Import parameters its files do not hold.
    aligned : bool
        Whether its angles are the authors' refined ones, so that it is reconstructed as it is.
    reconstruct : dict
        Reconstruction parameters that suit it better than the defaults.
    """

    name: str
    stack: Path
    given: dict[str, Any] = field(default_factory=dict)
    aligned: bool = False
    reconstruct: dict[str, Any] = field(default_factory=dict)


def sample_example() -> Example:
    """Find the simulated series that comes with the checkout.

    Raises
    ------
    MissingError
        The package was installed without its checkout.
    """
    folder = _CHECKOUT / "sample_data"
    for stack in sorted(folder.glob("*.mrc")):
        return Example(stack.stem, stack)
    raise MissingError(f"There is no sample series in {folder}; run the demo from a checkout of the project.")


def cells(count: int) -> list[dict[str, Any]]:
    """Return what `simulate` is asked for to make some series of ribosomes, each another field of the same kind."""
    return [{"name": f"cell_{number}", "seed": 4 + number, **_CELL} for number in range(1, count + 1)]


def template_file(work_folder: Path) -> Path:
    """Write what the ribosomes are looked for with: where a person would take the map of a related one."""
    from napari_tomoflow.core.matching.atoms import density_of_atoms
    from napari_tomoflow.core.simulation.molecules import ribosome
    from napari_tomoflow.io.mrc import write_mrc

    molecule = ribosome()
    density = density_of_atoms(SPECIES, molecule.points_ang_xyz, molecule.weights, _TEMPLATE_VOXEL_ANG)
    path = work_folder / f"{SPECIES}_template.mrc"
    work_folder.mkdir(parents=True, exist_ok=True)
    write_mrc(path, density.volume, density.voxel_ang)
    return path


def measured_examples(work_folder: Path) -> Iterator[Example]:
    """Yield the measured series that lie beside the checkout.

    Parameters
    ----------
    work_folder
        Where a stack is put that has to be converted first.
    """
    data = Path(os.environ.get(_DATA_VARIABLE, _CHECKOUT.parent / "shared" / "data"))
    needle = data / "real_tilt_etspy_needle" / "HAADF.dm3"
    if needle.exists():
        yield Example("needle", needle, {"contrast": "bright"})
    film = data / "real_tilt_Ta_film"
    if film.exists():
        stack = ta_film_stack(film, work_folder)
        given = {"contrast": "bright", "axis_deg": 0.0, "angles": stack.with_suffix(".tlt")}
        yield Example("Ta_film", stack, given, aligned=True, reconstruct={"bin": 1, "thickness_ang": 151.0})


def ta_film_stack(folder: Path, work_folder: Path) -> Path:
    """Turn the Ta film's MATLAB projections into an MRC stack with a ``.tlt`` beside it.

    The array is (x, y, tilt) with the tilt axis along y. Of the three refined angles of each image, about z, y
    and x, the second is the tilt; the others stay below half a degree. It turns the other way than ours: with its
    sign changed, the tomogram is the authors' own and not its mirror in z.
    """
    from scipy.io import loadmat

    from napari_tomoflow.io.mrc import write_mrc
    from napari_tomoflow.io.tilts import write_tilts

    projections_xyn = loadmat(folder / "Projections_area17.mat")["Proj_sub"]
    tilts_deg = loadmat(folder / "angles.mat")["angle"][:, 1]
    stack = work_folder / "Ta_film.mrc"
    work_folder.mkdir(parents=True, exist_ok=True)
    write_mrc(stack, np.ascontiguousarray(projections_xyn.transpose(2, 1, 0), np.float32), _TA_PIXEL_ANG, stack=True)
    write_tilts(stack.with_suffix(".tlt"), -tilts_deg)
    return stack
