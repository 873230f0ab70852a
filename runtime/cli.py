"""The command line of runtime: options -> one call -> text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runtime.engine_arguments import (
    Dla,
    HardwareCompatible,
    Level,
    Profiles,
    Refit,
    Rtx,
    Strip,
    Tf32,
    TimingCache,
    VersionCompatible,
    Workspace,
    join_targets,
    split_targets,
)
from runtime.terminal import Screen, instant_interrupt, run

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
    str, typer.Option(help="Where it must run: cpu, cuda, tensorrt or rtx.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run(app, "python -m runtime", join_targets(sys.argv[1:] if argv is None else argv))


@app.command()
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


@app.command()
@instant_interrupt()
def verify(
    bundle: Folder,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing if all is well.")] = False,
    provider: Provider = "cpu",
    engine: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="Run this engine instead; may be repeated.", show_default=False
        ),
    ] = [],  # noqa: B006 (Typer makes a new one)
) -> None:
    """Check that a bundle is what was published and still computes the same.

    The exit status is 1 if anything differs from what its manifest promises.
    """
    from runtime.bundle import Bundle
    from runtime.errors import OptionError, VerdictError
    from runtime.show import show_verification
    from runtime.verify import verify

    loaded = Bundle.load(bundle)
    if engine and provider != "cpu":
        raise OptionError("an engine runs in TensorRT itself; leave --provider out")
    report = verify(loaded, provider, engine)
    if json or not quiet:
        show_verification(report, loaded, Screen(json=json))
    wrong = report.first_difference
    if wrong is not None:
        raise VerdictError(
            f"'{bundle}' differs in {wrong.name}: given {wrong.given}; expected {wrong.expected}"
        )


@app.command()
def build(
    bundle: Folder,
    rtx: Rtx = "",
    variant: Annotated[
        list[str],
        typer.Option(help="Build of this one only; may be repeated.", show_default=False),
    ] = [],  # noqa: B006 (Typer makes a new one)
    profile: Profiles = [],  # noqa: B006
    workspace: Workspace = None,
    level: Level = 3,
    tf32: Tf32 = False,
    hardware_compatible: HardwareCompatible = "none",
    version_compatible: VersionCompatible = False,
    strip: Strip = False,
    refit: Refit = False,
    dla: Dla = None,
    timing_cache: TimingCache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build TensorRT engines into a bundle, on the machine that will run them.

    It looks first whether they can be built. Called again, it goes on where it stopped.
    """
    from runtime.build_engines import build_engines
    from runtime.bundle import Bundle
    from runtime.engine_options import EngineOptions
    from runtime.engine_orders import EngineRequest, order_engines
    from runtime.preflight import look_around
    from runtime.show_engines import raise_failures, show_engines
    from runtime.timing_cache import take_timings

    screen = Screen(json=json, quiet=quiet)
    loaded = Bundle.load(bundle)
    request = EngineRequest(
        options=EngineOptions(
            flavour="tensorrt_rtx" if rtx else "tensorrt",
            workspace_mib=workspace,
            optimization_level=level,
            tf32=tf32,
            hardware_compatibility=hardware_compatible,
            version_compatible=version_compatible,
            refit=refit,
            strip_weights=strip,
            dla_core=dla,
        ),
        targets=split_targets(rtx) if rtx else (),
        profiles=tuple(profile),
        variants=tuple(variant),
    )
    orders = order_engines(loaded.manifest.variants, loaded.manifest.image, request)
    timings = take_timings(loaded, timing_cache)
    outcomes = build_engines(loaded, orders, look_around(), timings, screen)
    show_engines(outcomes, loaded, screen)
    raise_failures(outcomes, screen)
