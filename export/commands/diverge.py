"""`python -m export diverge`: says where a variant leaves PyTorch."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from export.arguments import require_extra
from export.divergence.wish import Wish
from runtime.arguments import Folder, Json, Quiet
from runtime.errors import OptionError, VerdictError
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["diverge"]


def diverge(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What was exported: a name of --list, or auto.")
    ],
    bundle: Folder,
    variant: Annotated[str, typer.Option(help="The form of the model to look at.")] = "fp32",
    weights: Annotated[
        str, typer.Option(help="As at the export.  [default: what the manifest names]")
    ] = "",
    ema: Annotated[bool, typer.Option("--ema", help="As at the export.")] = False,
    from_rgb: Annotated[str, typer.Option(help="As at the export.")] = "",
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images.  [default: the package's own]")
    ] = None,
    images: Annotated[int, typer.Option(help="How many at most.")] = 16,
    everywhere: Annotated[
        bool, typer.Option("--all", help="Look inside of every block, not of the worst alone.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the SQNR along the depth.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say at which of the module's tensors a variant leaves PyTorch.

    The exit status is 1 if it does so by more than its precision explains.
    """
    from runtime.bundle import Bundle
    from runtime.publishing.replace_file import check_replaceable, replace_file

    require_extra()
    screen = Screen(json=json, quiet=quiet)
    if plot is not None:
        _check_plot(plot)
        check_replaceable(plot)
    wish = Wish(name=name, weights=weights, ema=ema, from_rgb=from_rgb)
    loaded = Bundle.load(bundle)
    loaded.variant(variant)
    with instant_interrupt():
        from export.divergence.diverge import Question, diverge
        from export.divergence.show import show_divergence, summarize

    question = Question(
        wish=wish,
        variant=variant,
        data=data,
        images=images,
        everywhere=everywhere,
    )
    # What a model's own code prints is no result.
    with contextlib.redirect_stdout(sys.stderr):
        divergence = diverge(loaded, question, screen)
    if plot is not None:
        from export.divergence.plot_depth import plot_depth

        replace_file(plot, plot_depth(divergence))
    show_divergence(divergence, screen)
    if divergence.left:
        raise VerdictError(summarize(divergence))


def _check_plot(plot: Path) -> None:
    if plot.suffix.lower() != ".svg":
        raise OptionError(f"--plot: given '{plot}'; expected a file name that ends in .svg")
