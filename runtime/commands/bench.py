"""`python -m runtime bench`: how fast each variant runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import NAMES, PROVIDER_NAMES, Engines, Folder, Json, Quiet, Variants
from runtime.command_line import split_words
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["bench"]

_NUMBER = re.compile(r"-?\d{1,18}")  # int() refuses thousands of digits
WORD_LISTS = {
    "--variant": NAMES,
    "--engine": NAMES,
    "--provider": NAMES,
    "--batch": _NUMBER,
    "--size": _NUMBER,
    "--threads": _NUMBER,
}


@instant_interrupt()
def bench(
    bundle: Folder,
    variant: Variants = "",
    engine: Engines = "",
    batch: Annotated[
        str,
        typer.Option(metavar="N...", help="Images at once; by default 1 8.", show_default=False),
    ] = "",
    size: Annotated[
        str,
        typer.Option(
            metavar="PIXELS...",
            help="Height and width; by default the bundle's own.",
            show_default=False,
        ),
    ] = "",
    threads: Annotated[
        str,
        typer.Option(
            metavar="N...",
            help="Of a run on the processor; 0 leaves it to the provider.",
            show_default=False,
        ),
    ] = "",
    provider: Annotated[
        str, typer.Option(metavar="NAME...", help=f"Where it must run: {PROVIDER_NAMES}.")
    ] = "cpu",
    against: Annotated[
        bool,
        typer.Option(
            "--against",
            help="Run a bare ONNX Runtime loop beside it; exit status 1 if it adds over 2 %.",
        ),
    ] = False,
    tune: Annotated[
        str,
        typer.Option(
            metavar="GOAL",
            help="latency or throughput: find the best variant, threads and batch, and write them"
            " into the bundle.",
            show_default=False,
        ),
    ] = "",
    accuracy_floor: Annotated[
        float,
        typer.Option(
            "--accuracy-floor",
            metavar="SHARE",
            help="Least top-1 of what may be tuned to, 0 to 1; by default 0.003 below fp32's.",
            show_default=False,
        ),
    ] = -1.0,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD.json",
            help="Compare with this benchmark of a like machine.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the results go; by default BUNDLE.bench.json, beside the bundle.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, throughput, load time and memory.

    Contestants take turns until their windows agree. --tune reads accuracies from
    BUNDLE.evaluation.json; without it, it takes fp32 alone.
    """
    from runtime.benchmark.plan import Plan
    from runtime.benchmark.run_benchmark import Request, run_benchmark
    from runtime.benchmark.show import OVERHEAD_GOAL, show_benchmark
    from runtime.bundle import Bundle
    from runtime.errors import VerdictError

    plan = Plan(
        variants=split_words(variant),
        engines=split_words(engine),
        providers=split_words(provider),
        threads=tuple(map(int, split_words(threads))),
        batches=tuple(map(int, split_words(batch))),
        sizes=tuple(map(int, split_words(size))),
        against=against,
    )
    request = Request(
        plan=plan, goal=tune, accuracy_floor=accuracy_floor, compare=compare, output=output
    )
    screen = Screen(json=json, quiet=quiet)
    found, compared, tuning = run_benchmark(Bundle.load(bundle), request, screen)
    show_benchmark(found, compared, tuning, screen)
    for each in found.measurements:
        if each.overhead and each.overhead.low > 1 + OVERHEAD_GOAL:
            raise VerdictError(
                f"{each.case} takes {each.overhead.ratio:.3f} times a bare loop; "
                f"allowed {1 + OVERHEAD_GOAL:g}"
            )
