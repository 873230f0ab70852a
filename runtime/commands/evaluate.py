"""`python -m runtime evaluate`: how right each variant is, and whether one is worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import (
    NAMES,
    ClassNames,
    Engines,
    Folder,
    Json,
    Quiet,
    Truth,
    TunedBatch,
    TunedProvider,
    Variants,
)
from runtime.command_line import split_words
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["evaluate"]

WORD_LISTS = {"--variant": NAMES, "--engine": NAMES}


@instant_interrupt()
def evaluate(
    bundle: Folder,
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER|CSV",
            help="Labelled images: a folder for each class, a CSV file of path,label, or ImageNet's"
            " validation images.",
            show_default=False,
        ),
    ],
    variant: Variants = "",
    engine: Engines = "",
    truth: Truth = None,
    labels: ClassNames = None,
    limit: Annotated[int, typer.Option(help="At most so many images; 0 is all of them.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the results go; by default BUNDLE.evaluation.json, beside the bundle.",
            show_default=False,
        ),
    ] = None,
    provider: TunedProvider = "",
    batch: TunedBatch = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of one run on the processor, 0: as the provider likes; by default as tuned.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how right each variant is on labelled images.

    What a variant loses against fp32 is told with its interval. A run that was killed goes on where
    it stood. An image that cannot be read is reported and the rest go on; the exit status is then
    1.
    """
    from runtime.bundle import TUNING_FILE, Bundle
    from runtime.check_names import check_names
    from runtime.errors import OptionError, VerdictError
    from runtime.evaluation.dataset import open_dataset
    from runtime.evaluation.evaluate import Request, evaluate
    from runtime.evaluation.show import show_evaluation
    from runtime.read_labels import read_labels
    from runtime.results_file import results_path

    screen = Screen(json=json, quiet=quiet)
    if limit < 0:
        raise OptionError(f"--limit: given {limit}; expected 0 or more")
    loaded = Bundle.load(bundle)
    tuning = None
    if TUNING_FILE in loaded.manifest.files and batch is None and threads is None and not provider:
        from runtime.benchmark.tuning import take_tuning

        tuning = take_tuning(loaded, screen)
    request = Request(
        variants=split_words(variant),
        engines=split_words(engine),
        labels=read_labels(labels, loaded.manifest.model.classes) if labels else (),
        provider=provider or (tuning.provider if tuning else "cpu"),
        batch=batch if batch is not None else tuning.batch if tuning else 8,
        threads=threads if threads is not None else tuning.threads if tuning else 0,
    )
    check_names(loaded, request.variants, request.engines)
    dataset = open_dataset(data, truth).limited(limit)
    screen.note(f"{len(dataset.examples)} images, {dataset.layout}")
    output = output or results_path(bundle, "evaluation")
    found = evaluate(loaded, dataset, request, output, screen)
    for warning in found.warnings:
        screen.warn(warning)
    show_evaluation(found, screen)
    screen.note(f"results: {output}")
    if found.failures:
        raise VerdictError(
            f"{len(found.failures)} of {found.data.listed} images could not be read, such as "
            f"'{found.failures[0].path}': {found.failures[0].reason}"
        )
