"""`python -m export diagnose`: says why a model is less accurate than it should be."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from export.arguments import Data, require_extra
from export.divergence.wish import Wish
from runtime.arguments import ClassNames, Folder, Json, Quiet, Truth
from runtime.errors import OptionError, VerdictError
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["diagnose"]


def diagnose(
    bundle: Folder,
    data: Data,
    images: Annotated[
        int, typer.Option(help="How many at most, spread evenly; small gains need many.")
    ] = 1000,
    truth: Truth = None,
    labels: ClassNames = None,
    name: Annotated[
        str, typer.Option(help="What was exported, to try its BatchNorm, too.", show_default=False)
    ] = "",
    weights: Annotated[
        str, typer.Option(help="Of --name, as at the export.", show_default=False)
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say why a model is less accurate than it should be.

    What usually goes wrong before and behind it is tried on labelled images, one on top of another.
    The exit status is 1 if a change makes it more accurate beyond accident.
    """
    require_extra()
    screen = Screen(json=json, quiet=quiet)
    if images < 1:
        raise OptionError(f"--images: given {images}; expected at least 1")
    if weights and not name:
        raise OptionError("--weights: given without --name; say what they are of: --name NAME")
    wish = Wish(name=name, weights=weights) if name else None
    from runtime.bundle import Bundle
    from runtime.evaluation.dataset import open_dataset
    from runtime.read_labels import read_labels

    loaded = Bundle.load(bundle)
    manifest = loaded.manifest
    named = read_labels(labels, manifest.model.classes) if labels else manifest.labels
    dataset = open_dataset(data, truth).limited(images)
    with instant_interrupt():
        from calibration.read_graph import read_graph
        from export.accuracy.diagnose_accuracy import diagnose_accuracy
        from export.accuracy.show import show_diagnosis, summarize

    module = None
    # What a model's own code prints is no result.
    with contextlib.redirect_stdout(sys.stderr):
        if wish is not None:
            from export.divergence.load_reference import load_reference

            module = load_reference(wish, loaded, read_graph(loaded)).module
        diagnosis = diagnose_accuracy(loaded, dataset, named, module, screen)
    show_diagnosis(diagnosis, screen)
    if diagnosis.causes:
        raise VerdictError(summarize(diagnosis))
