"""Particles that are not all alike: parted by score, by the directions they differ in, or by maps that compete."""
