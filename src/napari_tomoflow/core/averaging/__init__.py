"""Averages of particles from their images in the tilts."""
