"""Tables of particles, one module for each program or family of them; `FORMATS` lists them all.

A new format is a module with a `ParticleFormat`, and a place in the list: reading by name, export, drag and
drop and the contract tests follow from it.
"""

from napari_tomoflow.io.particle_formats.cbox import BOX, CBOX, COORDS
from napari_tomoflow.io.particle_formats.copick import COPICK
from napari_tomoflow.io.particle_formats.csv_table import CSV
from napari_tomoflow.io.particle_formats.dynamo import DYNAMO
from napari_tomoflow.io.particle_formats.eman2_boxes import EMAN2
from napari_tomoflow.io.particle_formats.frame import ANY, Told, TomogramFrame, Unit, UnitMissingError
from napari_tomoflow.io.particle_formats.imod_model import IMOD
from napari_tomoflow.io.particle_formats.made_on import read_frames
from napari_tomoflow.io.particle_formats.motl import MOTL, STOPGAP
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat
from napari_tomoflow.io.particle_formats.relion import RELION4, RELION5

__all__ = ["ANY", "FORMATS", "ParticleFormat", "Told", "TomogramFrame", "Unit", "UnitMissingError", "read_frames"]

FORMATS = (RELION5, RELION4, DYNAMO, STOPGAP, MOTL, IMOD, EMAN2, COPICK, CBOX, COORDS, BOX, CSV)
"""All tables of particles that are read and written; of those with one ending, the first is what it usually is."""
