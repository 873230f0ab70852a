"""`python -m export`: hands over to export.cli."""

import gc
import os
import sys

# Before NumPy is loaded. Its matrices are small here, and BLAS's threads spin while they wait for
# one another: a fit of 256 images takes 10 ms of processor time by one thread, 20 to 1000 by two.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from runtime.guard import guard

# What importing torch leaves for the collector is next to nothing; looking for it takes 0.6 s.
gc.disable()


def main() -> int:
    """Run the command line; imported here, Ctrl-C during the import is one line, too."""
    from export.cli import main

    return main()


if __name__ == "__main__":
    status = guard(main)
    sys.stderr.flush()
    # Not sys.exit: to free a model's tensors one by one takes 0.3 s. All that is to last was
    # written and flushed before.
    os._exit(status)
