"""What changed from one release of a model to the next."""
