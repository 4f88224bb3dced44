"""Template matching: where in a tomogram a known particle lies, and how it is turned."""
