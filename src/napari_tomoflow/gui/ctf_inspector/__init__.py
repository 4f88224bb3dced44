"""The CTF inspector: look at a fit tilt by tilt, mend it, save it as an edit."""
