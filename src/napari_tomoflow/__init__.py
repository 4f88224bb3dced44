"""Cryo-electron tomography from tilt series to subtomogram averages, in napari and without it."""

__version__ = "0.1.0"
