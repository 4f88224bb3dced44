"""Averages in their tomogram: surfaces to turn and to click on."""
