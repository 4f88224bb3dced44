"""Motion correction of movies: gain, defects, trajectories and sums of frames."""
