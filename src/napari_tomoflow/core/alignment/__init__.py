"""How a tilt series is aligned without markers: what is matched with what, in which order, and what is believed."""
