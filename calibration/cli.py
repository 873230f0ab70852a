"""The command line of calibration: one module of `calibration.commands` for each command."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.command_line import Program, run_program

__all__ = ["main"]

PROGRAM = Program(
    name="python -m calibration",
    help="Measure what a model's activations do on real images. "
    "`python -m calibration BUNDLE ...` is short for `python -m calibration ranges BUNDLE ...`.",
    package="calibration.commands",
    commands=("ranges", "sensitivity"),
    default="ranges",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run_program(PROGRAM, argv)
