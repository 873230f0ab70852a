"""Judges variants: PyTorch in float64 beside each of them, on real images, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from calibration.resume import batch_size
from export.classifier import Classifier
from export.reference import TorchRunner
from export.variants.evaluation import Evaluation, read_portions
from export.variants.made import MadeVariant
from export.variants.tally import Tally, conclude
from export.variants.variant_runner import VariantRunner
from runtime.judgement import Judgement
from runtime.terminal import Screen

__all__ = ["is_ranked", "judge"]


def judge(
    variants: Sequence[MadeVariant],
    classifier: Classifier,
    evaluation: Evaluation,
    pixels: str,
    screen: Screen,
) -> dict[str, Judgement]:
    """Return how each variant does on the images, by its name.

    Args:
        variants: that no image was yet shown to.
        classifier: what they come from; its module takes what the graphs take.
        evaluation: the images.
        pixels: the layout, if the graphs take pixels.
        screen: shows the progress, and what could not be read.

    Raises:
        ImageError: if no image can be read.
        BackendError: if a variant cannot run on them.
    """
    reference = TorchRunner(classifier.module, torch.float64)
    runners = [VariantRunner(variant) for variant in variants]
    tallies = [Tally() for _ in variants]
    size = batch_size(variants[0].graph, classifier.image)
    with screen.step("judge") as step, screen.progress("judge", len(evaluation.files)) as advance:
        for portion in read_portions(evaluation, classifier.image, pixels, size):
            for line in portion.skipped:
                screen.warn(f"skipped {line}")
            truth = reference.logits(portion.images)
            for runner, tally in zip(runners, tallies, strict=True):
                tally.add(truth, runner.logits(portion.images), portion.classes)
            for _ in range(len(portion.images) + len(portion.skipped)):
                advance()
        step.detail = f"{tallies[0].images} images beside {reference.name}"
    ranked = is_ranked(classifier)
    return {
        variant.name: conclude(variant.precision, tally, evaluation.source, ranked=ranked)
        for variant, tally in zip(variants, tallies, strict=True)
    }


def is_ranked(classifier: Classifier) -> bool:
    """Return whether its outputs are logits of trained classes, whose order says something."""
    return classifier.outputs == ("logits",) and classifier.weights.origin != "random"
