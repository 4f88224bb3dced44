"""Pure array functions. Nothing here knows a file, a noun's history or a person."""
