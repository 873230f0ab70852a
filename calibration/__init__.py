"""Measures what a graph's activations do on real images."""
