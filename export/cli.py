"""The command line of export: one module of `export.commands` for each command."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.command_line import Program, run_program

__all__ = ["main"]

PROGRAM = Program(
    name="python -m export",
    help="Take a PyTorch ResNet to ONNX, and prove that it arrived unchanged. "
    "`python -m export NAME ...` is short for `python -m export model NAME ...`.",
    package="export.commands",
    commands=("model", "inspect", "plan", "diverge", "diagnose", "diff", "verdict", "triton"),
    default="model",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run_program(PROGRAM, argv)
