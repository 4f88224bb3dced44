"""The napari plugin: the only package that knows a viewer. Importing it imports nothing."""
