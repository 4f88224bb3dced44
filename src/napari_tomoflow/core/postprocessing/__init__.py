"""What is done with an average once it is refined: masked, measured, sharpened."""
