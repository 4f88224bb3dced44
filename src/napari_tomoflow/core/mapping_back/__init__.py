"""Averages put back into the tomograms their particles come from."""
