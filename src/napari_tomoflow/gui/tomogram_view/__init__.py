"""Three linked slices through a tomogram: slabs of any thickness, filtered while one looks."""
