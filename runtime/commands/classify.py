"""`python -m runtime classify`: names what is in images."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Quiet, TunedBatch, TunedProvider
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

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
    provider: TunedProvider = "",
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="Accept a lesser provider, and say so.")
    ] = False,
    variant: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The form of the model to run; by default as tuned, or fp32.",
            show_default=False,
        ),
    ] = "",
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="Run this engine instead.", show_default=False)
    ] = "",
    batch: TunedBatch = None,
) -> None:
    """Name what is in images, with probabilities.

    An image that cannot be read is reported and the rest go on; the exit status is then 1.
    """
    from runtime.bundle import TUNING_FILE, Bundle
    from runtime.classify_images import Request, classify_images
    from runtime.errors import ImageError, VerdictError
    from runtime.show_classified import show_classified

    screen = Screen(json=json, quiet=quiet)
    loaded = Bundle.load(bundle)
    tuning = None
    if TUNING_FILE in loaded.manifest.files and not (variant or engine or provider):
        from runtime.benchmark.tuning import take_tuning

        tuning = take_tuning(loaded, screen)
    request = Request(
        variant=variant or (tuning.variant if tuning else "fp32"),
        engine=engine or (tuning.engine if tuning else ""),
        provider=provider or (tuning.provider if tuning else "cpu"),
        allow_fallback=allow_fallback,
        top=top,
        batch=batch if batch is not None else tuning.batch if tuning else 8,
        threads=tuning.threads if tuning else 0,
    )
    with classify_images(loaded, images, request) as classification:
        for note in classification.runner.notes:
            screen.warn(note)
        failures = show_classified(classification, loaded, screen)
    total = len(classification.images)
    if len(failures) == total:
        raise ImageError(failures[0] if total == 1 else f"none of {total} images could be read")
    if failures:
        raise VerdictError(f"{len(failures)} of {total} images could not be read")
