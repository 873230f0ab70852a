"""The command line of runtime: one module of `runtime.commands` for each command."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.command_line import Program, run_program

__all__ = ["main"]

PROGRAM = Program(
    name="python -m runtime",
    help="Run and verify exported classifiers. Needs neither torch nor onnx.",
    package="runtime.commands",
    commands=("classify", "evaluate", "bench", "verify", "build", "serve", "score"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run_program(PROGRAM, argv)
