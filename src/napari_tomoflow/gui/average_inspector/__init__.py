"""The averages inspector: look at a map, its halves and how it came about; choose particles by their score."""
