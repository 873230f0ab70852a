"""Figures from values: each returns inline SVG whose colours are the page's."""
