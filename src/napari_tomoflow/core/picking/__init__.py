"""Picking by geometry: shapes fitted to clicked points or segmentations, and particles spread evenly on them."""
