"""Measures how fast a bundle's variants run on this machine, and picks the best."""
