"""`python -m runtime`: hands over to runtime.cli."""

import os
import sys

from runtime.terminal import guard


def main() -> int:
    """Run the command line; imported here, Ctrl-C during the import is one line, too."""
    from runtime.cli import main

    return main()


if __name__ == "__main__":
    status = guard(main)
    sys.stderr.flush()
    # Not sys.exit: to free one by one what the process loses anyway takes 40 ms, a tenth of a
    # classification. All that is to last was written and flushed before.
    os._exit(status)
