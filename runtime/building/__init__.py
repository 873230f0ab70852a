"""Building TensorRT engines: what is ordered, what it takes, the build, and what became of it."""
