"""TensorRT engines: what lies on a disk, what it runs with, and opening and running it."""
