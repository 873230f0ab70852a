"""Measures what a graph's activations do on real images."""

import logging

# Where it cannot write below the home folder, matplotlib tells in two lines of its cache.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
