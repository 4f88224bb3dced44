"""The parts Warp's XML of a tilt series is made of: lists with a value for each tilt, and grids of nodes."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import require_file

Floats = NDArray[np.float64]

_KIND = "Warp's .xml of a tilt series"


def parsed_xml(path: Path) -> ElementTree.Element:
    """Read the XML of a tilt series.

    Raises
    ------
    DataError
        It is not there, cut short, or about something else.
    """
    require_file(path, _KIND)
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, UnicodeError, LookupError, ValueError) as error:
        raise DataError(f"{path} is not readable XML: {error}; copy {_KIND} again.") from error
    if root.tag != "TiltSeries" or root.find("Angles") is None:
        raise DataError(f"{path} is not about a tilt series but {root.tag!r} without angles; give {_KIND}.")
    return root


def per_tilt(path: Path, root: ElementTree.Element, name: str, n: int | None) -> Floats:
    """Read one value per tilt; zeros where Warp has not written any."""
    text = root.findtext(name)
    if text is None and n is not None:
        return np.zeros(n)
    values = _floats(path, name, (text or "").split())
    if not len(values) or (n is not None and len(values) != n):
        raise DataError(f"{path} has {n or 'no'} angles but {len(values)} values of {name}; write it again with Warp.")
    return values


def _floats(path: Path, name: str, words: Sequence[str]) -> Floats:
    try:
        values = np.array([float(word) for word in words], np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.all(np.isfinite(values)):
        raise DataError(f"{path}: {name} is not made of numbers; write it again with Warp.")
    return values


def attribute(path: Path, element: ElementTree.Element, name: str, default: str = "0") -> float:
    """Read one number of an element."""
    return float(_floats(path, name, [element.get(name, default)])[0])


def read_sizes(path: Path, root: ElementTree.Element, name: str, n: int) -> list[float] | None:
    """Read lengths written with commas between them; None where they are not there or 0.

    Raises
    ------
    DataError
        They are more or fewer than `n`, or no numbers.
    """
    words = root.get(name, "").replace(",", " ").split()
    if not words:
        return None
    values = _floats(path, name, words)
    if len(values) != n:
        raise DataError(f"{path}: {name} holds {len(values)} numbers instead of {n}; write it again with Warp.")
    return values.tolist() if np.all(values > 0) else None


def read_grid(path: Path, root: ElementTree.Element, name: str) -> Floats:
    """Read a grid as float64[duration, depth, height, width]; one zero where there is none.

    Raises
    ------
    DataError
        It announces more or fewer nodes than it holds, or one is no number.
    """
    element = root.find(name)
    if element is None:
        return np.zeros((1, 1, 1, 1))
    shape = [int(attribute(path, element, side, "1")) for side in ("Duration", "Depth", "Height", "Width")]
    nodes = element.findall("Node")
    if min(shape) < 1 or len(nodes) != np.prod(shape):
        raise DataError(f"{path}: {name} announces {np.prod(shape)} nodes but holds {len(nodes)}; copy it again.")
    values = {tuple(int(attribute(path, node, axis)) for axis in "WZYX"): node for node in nodes}
    if set(values) != set(np.ndindex(*shape)):
        size = " × ".join(map(str, shape[::-1]))
        raise DataError(f"{path}: the nodes of {name} are not those of a grid of {size}; copy it again.")
    ordered = [attribute(path, values[place], "Value", "nan") for place in np.ndindex(*shape)]
    return np.array(ordered).reshape(shape)


def add_grid(root: ElementTree.Element, name: str, values: Floats) -> None:
    """Write a grid of float64[depth, height, width], or one that runs over the exposure: [duration, ...]."""
    sides = dict(zip(("Width", "Height", "Depth", "Duration"), map(str, values.shape[::-1]), strict=False))
    element = ElementTree.SubElement(root, name, sides)
    for place, value in np.ndenumerate(values):
        node = dict(zip("XYZW", map(str, place[::-1]), strict=False))
        ElementTree.SubElement(element, "Node", {**node, "Value": repr(float(value))})
