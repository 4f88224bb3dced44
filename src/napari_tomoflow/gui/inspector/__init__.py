"""The alignment inspector: look at an alignment tilt by tilt, mend it, save it as an edit."""
