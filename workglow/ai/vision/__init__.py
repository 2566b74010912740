"""What models see in images, as tasks do it."""
