"""`python -m runtime score`: names what is in millions of images, into parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Quiet
from runtime.terminal import Screen

__all__ = ["score"]


def score(
    bundle: Folder,
    images: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="A folder, a quoted pattern, a list (.txt), or a table (.parquet) of paths or "
            "images. Relative paths start from the working directory.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Where the parquet files belong.", show_default=False),
    ],
    column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The column of the table: paths, encoded images, or a struct of both. By default "
            "'bytes', 'image' or 'path'.",
            show_default=False,
        ),
    ] = "",
    variant: Annotated[str, typer.Option(help="The form of the model to run.")] = "fp32",
    top: Annotated[int, typer.Option(help="How many classes to keep of each image.")] = 5,
    batch: Annotated[int, typer.Option(help="How many images to run at once.")] = 32,
    local: Annotated[
        bool, typer.Option("--local", help="One process of this machine, without Ray.")
    ] = False,
    address: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="A cluster of Ray whose machines all see the same folders; 'auto' finds the one "
            "of this machine.",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Name what is in millions of images, one row an image.

    Killed at any moment and called again, it goes on where it stopped. An image that cannot be
    read is a row with its error; the exit status is 1 only if there is no other row.
    """
    from runtime.bundle import Bundle
    from runtime.errors import VerdictError
    from runtime.scoring.score import ScoreRequest, score
    from runtime.scoring.show import show_scores
    from runtime.vnni import PLACED_FOR_VNNI, saturation_note

    screen = Screen(json=json, quiet=quiet)
    request = ScoreRequest(
        images=images,
        variant=variant,
        column=column,
        top=top,
        batch=batch,
        local=local,
        address=address,
    )
    loaded = Bundle.load(bundle)
    laid_out_for_vnni = loaded.variant(variant).placement == PLACED_FOR_VNNI
    if laid_out_for_vnni and (note := saturation_note(variant)):
        screen.warn(note)
    report = score(loaded, request, output, screen)
    show_scores(report, loaded, output, screen)
    if report.tally.failed == report.tally.images:
        raise VerdictError(f"none of {report.tally.images:,} images could be scored")
