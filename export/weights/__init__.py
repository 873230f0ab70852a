"""Weights files: what lies in them, which model they are of, and what does not fit it."""
