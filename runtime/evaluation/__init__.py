"""Measures how right a bundle's variants are on labelled images, and whether one is worse."""
