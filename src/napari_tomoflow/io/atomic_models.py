"""Atomic models (PDB, mmCIF) as maps."""

from pathlib import Path

import gemmi
import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.io.stacks import stem_of

MODEL_SUFFIXES = (".pdb", ".pdb.gz", ".ent", ".ent.gz", ".cif", ".cif.gz", ".mmcif", ".mmcif.gz")
"""Endings of the names of files `open_atomic_model` opens."""


def is_atomic_model(path: Path) -> bool:
    """Tell by its name whether a file holds an atomic model."""
    return path.name.lower().endswith(MODEL_SUFFIXES)


def open_atomic_model(path: Path) -> DensityMap:
    """Make a map from the first biological assembly of a model, or from its atoms where none is given.

    Water and hydrogen are left out; every atom counts as much as its atomic number.

    Raises
    ------
    DataError
        The file is missing, damaged or has no atoms.
    """
    try:
        structure = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an atomic model: {error}; give a PDB or mmCIF file.") from error
    if not len(structure):
        raise DataError(f"{path} holds no atomic model; give a PDB or mmCIF file with coordinates.")
    structure.remove_waters()
    structure.remove_hydrogens()
    model = structure[0]
    if len(structure.assemblies):
        model = gemmi.make_assembly(structure.assemblies[0], model, gemmi.HowToNameCopiedChain.Dup)
    atoms = [site.atom for site in model.all()]
    positions = np.array([atom.pos.tolist() for atom in atoms], np.float64).reshape(-1, 3)
    weights = np.array([atom.element.atomic_number * atom.occ for atom in atoms], np.float64)
    return density_of_atoms(stem_of(path), positions, weights)
