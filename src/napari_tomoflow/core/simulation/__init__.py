"""The simulated specimen and microscope behind the `simulate` stage."""
