"""How a tomogram is computed: the pieces the stage `reconstruct` is put together from."""
