"""How the CTF of a tilt series is found: spectra of tiles, and one model of all of them."""
