"""The classifiers this project exports: their definition, names and size, and those of others."""
