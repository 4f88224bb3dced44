"""What ChimeraX and its extension ArtiaX need to show placed averages.

Both find the files beside the script. ChimeraX draws one surface through the painted volume and colours it by
the labels. ArtiaX keeps every particle a thing of its own: it takes lists in voxels from the corner of the tomogram,
and puts the middle of a map, half its length from its corner, at each.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_tomoflow.core.model import MappedBack
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.maps import MAP_FILE
from napari_tomoflow.io.placement_colours import colours_of, hex_of
from napari_tomoflow.io.star import write_star

CHIMERAX_SCRIPT = "map_back.cxc"
ARTIAX_SCRIPT = "artiax.cxc"
_ARTIAX_LISTS = "artiax_{}.star"


@dataclass(frozen=True)
class PlacedFiles:
    """Where the files of a result lie, relative to its folder.

    Attributes
    ----------
    painted, labels : str
    maps : Path
        Folder that holds a folder for the map of each species.
    """

    painted: str
    labels: str
    maps: Path


def write_scripts(placed: MappedBack, folder: Path, files: PlacedFiles) -> None:
    """Write the scripts and the lists of ArtiaX into the folder of a result, beside its volumes and maps."""
    write_text(folder / CHIMERAX_SCRIPT, "\n".join(_chimerax(placed, files)) + "\n")
    for name in placed.maps:
        _write_list(placed, name, folder / _ARTIAX_LISTS.format(name))
    write_text(folder / ARTIAX_SCRIPT, "\n".join(_artiax(placed, files)) + "\n")


def _chimerax(placed: MappedBack, files: PlacedFiles) -> list[str]:
    """Draw the surface of all averages and colour each by what its label stands for."""
    labels = np.asarray(placed.particles.features[LABEL], np.int64)
    label_of, first = np.unique(labels, return_index=True)
    colours = hex_of(colours_of(placed))
    palette = ":".join(f"{label},{colours[row]}" for label, row in zip(label_of, first, strict=True))
    return [
        f"# {len(labels)} averages in {placed.name}, coloured by {placed.colour_by}.",
        "# The tomogram they belong to, opened as well, lies where they lie.",
        f'open "{files.painted}" name "averages in {placed.name}"',
        f'open "{files.labels}" name "labels"',
        "volume #1 style surface step 1 level 1",
        "volume #2 hide",
        f"color sample #1 map #2 palette {palette}",
        "lighting soft",
        "view #1",
    ]


def _artiax(placed: MappedBack, files: PlacedFiles) -> list[str]:
    """Attach the surface of every average to the list of its particles."""
    lines = [
        "# For a new session of ChimeraX with the extension ArtiaX.",
        "artiax start",
        f'artiax open tomo "{files.painted}"',
    ]
    by_species = dict(zip(placed.species.tolist(), hex_of(colours_of(placed, "species")), strict=True))
    for number, name in enumerate(placed.maps, start=1):
        part, model = f"#1.2.{number}", f"#{number + 1}"
        lines += [
            f'open "{_ARTIAX_LISTS.format(name)}" format relion',
            f"artiax particles {part} originScaleFactor {placed.voxel_ang:g}",
            f'open "{files.maps / name / MAP_FILE}" id {model} name "{name}"',
            f"artiax attach {model} toParticleList {part}",
            f"artiax particles {part} surfaceLevel {placed.levels[name]:.6g} color {by_species[name]}",
            f"artiax show {part} surfaces",
            f"artiax hide {part} markers",
            f"artiax hide {part} axes",
        ]
    return [*lines, "artiax view xy"]


def _write_list(placed: MappedBack, species: str, path: Path) -> None:
    """Write the particles of a species, with every column of numbers to colour them by."""
    import pandas as pd

    particles = placed.particles[placed.species == species]
    offset_ang = particles.centers_ang_zyx - placed.origin_ang_zyx
    voxels = (offset_ang / placed.voxel_ang + np.array(placed.painted.shape) // 2)[:, ::-1]
    angles_deg = poses.relion_from_matrices(particles.matrices)
    numbers = {name: values for name, values in particles.features.items() if values.dtype.kind in "iuf"}
    table = {
        **{f"rlnCoordinate{axis}": voxels[:, at] for at, axis in enumerate("XYZ")},
        **{f"rlnAngle{angle}": angles_deg[:, at] for at, angle in enumerate(("Rot", "Tilt", "Psi"))},
        "rlnClassNumber": particles.class_ids,
        "tomoflowId": particles.ids,
        "tomoflowScore": particles.score,
        **numbers,
    }
    finite = {name: values for name, values in table.items() if np.all(np.isfinite(values))}
    write_star(path, {"particles": pd.DataFrame(finite)})
