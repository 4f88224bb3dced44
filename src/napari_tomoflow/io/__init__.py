"""Files to nouns and back: one module per format or program."""
