"""The standalone compute core: nouns, operations and stages. No viewer, no files, no prints."""
