"""What polishing keeps of a finished round, as plain arrays, and what is made of them when it goes on.

Everything that a round changes is kept, averages as the sums they are solved from; the rest is there anew from what
polishing began with. Names of arrays are ``<what>/<of which>/<field>``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.fsc_curve import FscCurve
from napari_tomoflow.core.model import Alignment, Deformation, ParticleSet
from napari_tomoflow.core.stage import Steps

Arrays = dict[str, NDArray[Any]]

_STEP = "polishing"
_CURVE = tuple(one.name for one in fields(FscCurve))
_ALIGNMENT = ("tilt_deg", "axis_deg", "xtilt_deg", "shift_ang_yx")
_PARTICLES = ("centers_ang_zyx", "quaternions_xyzw", "score")
_PATHS = "known_paths_ang_zyx"
_BENDING = ("nodes_ang_yx", "field_ang_yx", "slopes_yx")


@dataclass(frozen=True, eq=False)
class Round:
    """What a round ends with.

    Attributes
    ----------
    particles : mapping of str to ParticleSet
        Of each species.
    alignments : mapping of str to Alignment
        Of each series.
    sums : mapping of str to (int, float32[2, ...])
        Box of each species, and the whole sums over either half on the cells of its `CubeGrid`.
    before : mapping of str to FscCurve
        How far the halves agreed at first.
    history : tuple of dict
        In plain numbers.
    """

    particles: Mapping[str, ParticleSet]
    alignments: Mapping[str, Alignment]
    sums: Mapping[str, tuple[int, NDArray[np.float32]]]
    before: Mapping[str, FscCurve]
    history: tuple[dict[str, Any], ...]


def keep_round(steps: Steps, ended: Round) -> None:
    """Keep a round; it takes the place of the one before."""
    bent = {of: one.deformation for of, one in ended.alignments.items() if one.deformation is not None}
    leaning = {of: one for of, one in bent.items() if one.slopes_yx is not None}
    steps.save(
        _STEP,
        _laid_out("particles", ended.particles, (*_PARTICLES, _PATHS))
        | _laid_out("alignment", ended.alignments, _ALIGNMENT)
        | _laid_out("bending", bent, _BENDING[:2])
        | _laid_out("bending", leaning, _BENDING[2:])
        | _laid_out("curve", ended.before, _CURVE)
        | {f"sums/{of}/box_px": np.array(box_px) for of, (box_px, _) in ended.sums.items()}
        | {f"sums/{of}/cubes": cubes for of, (_, cubes) in ended.sums.items()}
        | {"history": np.array(json.dumps(ended.history))},
    )


def kept_round(steps: Steps, particles: Mapping[str, ParticleSet], alignments: Mapping[str, Alignment]) -> Round | None:
    """Take up the round that was kept, with all it does not change from what polishing began with."""
    kept = steps.load(_STEP)
    if kept is None:
        return None
    return Round(
        particles={
            of: one.replace(**_taken_up(kept, "particles", of, _PARTICLES)).along(kept[f"particles/{of}/{_PATHS}"])
            for of, one in particles.items()
        },
        alignments={
            of: one.replace(deformation=_bending(kept, of), **_taken_up(kept, "alignment", of, _ALIGNMENT))
            for of, one in alignments.items()
        },
        sums={of: (int(kept[f"sums/{of}/box_px"]), kept[f"sums/{of}/cubes"]) for of in particles},
        before={of: FscCurve(**_taken_up(kept, "curve", of, _CURVE)) for of in particles},
        history=tuple(json.loads(str(kept["history"]))),
    )


def _laid_out(what: str, known: Mapping[str, Any], names: tuple[str, ...]) -> Arrays:
    return {f"{what}/{of}/{name}": np.asarray(getattr(one, name)) for of, one in known.items() for name in names}


def _taken_up(kept: Arrays, what: str, of: str, names: tuple[str, ...]) -> Arrays:
    return {name: kept[f"{what}/{of}/{name}"] for name in names}


def _bending(kept: Arrays, of: str) -> Deformation | None:
    nodes, field_ang_yx, slopes = (kept.get(f"bending/{of}/{name}") for name in _BENDING)
    if nodes is None or field_ang_yx is None:
        return None
    height, width = map(float, field_ang_yx)
    return Deformation(nodes_ang_yx=nodes, field_ang_yx=(height, width), slopes_yx=slopes)
