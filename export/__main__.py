"""`python -m export`: hands over to export.cli."""

import sys

from export.cli import main

if __name__ == "__main__":
    sys.exit(main())
