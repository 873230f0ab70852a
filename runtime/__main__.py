"""`python -m runtime`: hands over to runtime.cli, and is quick about starting and ending."""

import gc
import os
import sys

# Imports make a hundred thousand objects, none of which is garbage: to look for it takes 15 ms.
gc.set_threshold(100_000)


def main() -> int:
    """Run the command line. Everything is imported inside, where Ctrl-C is one line, too."""
    try:
        from runtime.guard import guard
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return 130
    return guard(_run)


def _run() -> int:
    from runtime.cli import main

    return main()


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: to free one by one what the process loses anyway takes 40 ms, a tenth of a
    # classification. All that is to last was written and flushed before.
    os._exit(status)
