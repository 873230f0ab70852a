"""`python -m export inspect`: looks at a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export.arguments import require_extra
from export.weights.check_weights import check_weights_file
from runtime.arguments import Json, Quiet
from runtime.errors import VerdictError
from runtime.terminal import Screen

__all__ = ["inspect"]


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .safetensors, .pth or .pt file.")],
    ema: Annotated[
        bool, typer.Option("--ema", help="Look at the average over steps (EMA).")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a weights file holds, and whether it is sound.

    The exit status is 1 if no model here takes it.
    """
    require_extra()
    check_weights_file(file)
    from export.weights.inspect_checkpoint import inspect_checkpoint
    from export.weights.show import show_inspection

    inspection = inspect_checkpoint(file, ema=ema)
    show_inspection(inspection, Screen(json=json, quiet=quiet))
    if inspection.problem:
        raise VerdictError(inspection.problem)
