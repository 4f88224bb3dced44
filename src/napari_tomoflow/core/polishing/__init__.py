"""Refinement of particles tilt by tilt."""
