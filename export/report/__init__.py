"""Writes a verdict and what explains it as one HTML file that needs no network."""
