"""The stages of the pipeline, in its order. Being listed here is being offered, documented and tested."""

from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.align import ALIGN
from napari_tomoflow.core.stages.align_map import ALIGN_MAP
from napari_tomoflow.core.stages.classify import CLASSIFY
from napari_tomoflow.core.stages.ctf import CTF
from napari_tomoflow.core.stages.extract import EXTRACT
from napari_tomoflow.core.stages.import_ import IMPORT
from napari_tomoflow.core.stages.initial_model import INITIAL_MODEL
from napari_tomoflow.core.stages.map_back import MAP_BACK
from napari_tomoflow.core.stages.match import MATCH
from napari_tomoflow.core.stages.motion import MOTION
from napari_tomoflow.core.stages.pick import PICK
from napari_tomoflow.core.stages.polish import POLISH
from napari_tomoflow.core.stages.postprocess import POSTPROCESS
from napari_tomoflow.core.stages.reconstruct import RECONSTRUCT
from napari_tomoflow.core.stages.refine import REFINE
from napari_tomoflow.core.stages.simulate import SIMULATE

STAGES: tuple[Stage, ...] = (
    IMPORT,
    SIMULATE,
    MOTION,
    ALIGN,
    CTF,
    RECONSTRUCT,
    MATCH,
    PICK,
    EXTRACT,
    INITIAL_MODEL,
    REFINE,
    POLISH,
    POSTPROCESS,
    CLASSIFY,
    MAP_BACK,
    ALIGN_MAP,
)
