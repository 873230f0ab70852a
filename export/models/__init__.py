"""The classifiers this project exports: their definition, their names, their size."""
