"""The gallery: tiles of all picks of a tomogram, sorted by what one likes; a click goes there, deletes or re-types."""
