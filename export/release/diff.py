"""Compares two releases of a model: what changed, and whether that is worse than may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from export.release.contract import (
    diff_labels,
    diff_model,
    diff_preprocessing,
    diff_tools,
    diff_variants,
)
from export.release.difference import Comparison, Difference
from export.release.model_change import diff_answers, diff_parity, diff_weights
from export.release.results import Unlike, diff_accuracy, diff_speed
from export.release.variant_change import diff_files, diff_judgements, diff_precision, diff_sizes
from export.verdict.gates import FAIL
from export.verdict.read_gates import Gates
from runtime.bundle import Bundle

__all__ = ["diff"]


def diff(before: Bundle, after: Bundle, gates: Gates) -> Comparison:
    """Return what changed from one bundle to the other.

    Accuracy and speed are compared where their results lie beside both bundles.

    Raises:
        BundleError: if a model, or another file that is read, was altered.
    """
    for bundle in (before, after):
        for variant in bundle.manifest.variants.values():
            bundle.check(variant.file)
    found: list[Difference] = []
    same, not_compared = [], []
    for area, compare in _areas(before, after, gates).items():
        try:
            here = tuple(compare())
        except Unlike as error:
            not_compared.append(str(error))
            continue
        found += here
        if not here:
            same.append(area)
    return Comparison(
        before=str(before.folder),
        after=str(after.folder),
        model=after.manifest.model.name,
        identical=before.manifest.files == after.manifest.files,
        differences=tuple(found),
        same=tuple(same),
        not_compared=tuple(not_compared),
        strict=gates.not_shown == FAIL,
    )


def _areas(
    before: Bundle, after: Bundle, gates: Gates
) -> dict[str, Callable[[], Iterator[Difference]]]:
    """Return what finds the differences of each area, in the order they are told."""
    old, new = before.manifest, after.manifest
    return {
        "accuracy": lambda: diff_accuracy(before, after, gates),
        "speed": lambda: diff_speed(before, after, gates),
        "judgement": lambda: diff_judgements(old, new),
        "parity": lambda: diff_parity(before, after),
        "model": lambda: diff_model(old, new),
        "preprocessing": lambda: diff_preprocessing(old, new),
        "labels": lambda: diff_labels(old, new),
        "variants": lambda: diff_variants(old, new),
        "precision": lambda: diff_precision(old, new),
        "files": lambda: diff_files(old, new),
        "weights": lambda: diff_weights(before, after),
        "answers": lambda: diff_answers(before, after),
        "size": lambda: diff_sizes(old, new, gates.release),
        "tools": lambda: diff_tools(old, new),
    }
