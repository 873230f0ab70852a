"""The command line of runtime: options -> one call -> text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runtime.terminal import Screen, run

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run and verify exported classifiers. Needs neither torch nor onnx.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The folder that export made.", show_default=False)
]
Provider = Annotated[
    str, typer.Option(help="Where it must run: cpu, cuda or tensorrt.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run(app, "python -m runtime", argv)


@app.command()
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
        variant=variant, provider=provider, allow_fallback=allow_fallback, top=top, batch=batch
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


@app.command()
def verify(
    bundle: Folder,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing if all is well.")] = False,
    provider: Provider = "cpu",
) -> None:
    """Check that a bundle is what was published and still computes the same.

    The exit status is 1 if anything differs from what its manifest promises.
    """
    from runtime.bundle import Bundle
    from runtime.errors import VerdictError
    from runtime.show import show_verification
    from runtime.verify import verify

    loaded = Bundle.load(bundle)
    report = verify(loaded, provider)
    if json or not quiet:
        show_verification(report, loaded, Screen(json=json))
    wrong = report.first_difference
    if wrong is not None:
        raise VerdictError(
            f"'{bundle}' differs in {wrong.name}: given {wrong.given}; expected {wrong.expected}"
        )
