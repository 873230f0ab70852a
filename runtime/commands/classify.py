"""`python -m runtime classify`: names what is in images."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Provider, Quiet
from runtime.terminal import Screen, instant_interrupt

__all__ = ["classify"]


@instant_interrupt()
def classify(
    bundle: Folder,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Files, folders or quoted patterns.", show_default=False
        ),
    ],
    top: Annotated[int, typer.Option(help="How many classes to show of each image.")] = 5,
    json: Json = False,
    quiet: Quiet = False,
    provider: Provider = "cpu",
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="Accept a lesser provider, and say so.")
    ] = False,
    variant: Annotated[str, typer.Option(help="The form of the model to run.")] = "fp32",
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="Run this engine instead.", show_default=False)
    ] = "",
    batch: Annotated[int, typer.Option(help="How many images to run at once.")] = 8,
) -> None:
    """Name what is in images, with probabilities.

    An image that cannot be read is reported and the rest go on; the exit status is then 1.
    """
    from runtime.bundle import Bundle
    from runtime.classify_images import Request, classify_images
    from runtime.errors import ImageError, VerdictError
    from runtime.show import show_classified

    screen = Screen(json=json, quiet=quiet)
    request = Request(
        variant=variant,
        engine=engine,
        provider=provider,
        allow_fallback=allow_fallback,
        top=top,
        batch=batch,
    )
    loaded = Bundle.load(bundle)
    with classify_images(loaded, images, request) as classification:
        for note in classification.runner.notes:
            screen.warn(note)
        failures = show_classified(classification, loaded, screen)
    total = len(classification.images)
    if len(failures) == total:
        raise ImageError(failures[0] if total == 1 else f"none of {total} images could be read")
    if failures:
        raise VerdictError(f"{len(failures)} of {total} images could not be read")
