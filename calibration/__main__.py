"""`python -m calibration`: hands over to calibration.cli."""

import sys

from runtime.guard import guard


def main() -> int:
    """Run the command line; imported here, Ctrl-C during the import is one line, too."""
    from calibration.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(guard(main))
