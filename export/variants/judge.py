"""Judges variants: PyTorch in float64 beside each of them, on real images, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from calibration.resume import batch_size
from export.load import Classifier
from export.reference import TorchRunner
from export.variants.evaluation import Evaluation, read_evaluation
from export.variants.made import MadeVariant
from export.variants.tally import Tally, conclude
from runtime.judgement import Judgement
from runtime.onnx_runner import OnnxRunner
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["judge"]


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
    runners = [OnnxRunner.open(variant.data) for variant in variants]
    tallies = [Tally() for _ in variants]
    size, fixed = _batch(variants[0], classifier)
    with screen.step("judge") as step, screen.progress("judge", len(evaluation.files)) as advance:
        for portion in read_evaluation(evaluation, classifier.image, pixels, size):
            for line in portion.skipped:
                screen.warn(f"skipped {line}")
            truth = reference.logits(portion.images)
            for runner, tally in zip(runners, tallies, strict=True):
                answer = runner.logits(_filled(portion.images, fixed))[: len(truth)]
                tally.add(truth, answer, portion.classes)
            for _ in range(len(portion.images) + len(portion.skipped)):
                advance()
        step.detail = f"{tallies[0].images} images beside {reference.name}"
    ranked = classifier.outputs == ("logits",) and classifier.weights.origin != "random"
    return {
        variant.name: conclude(variant.precision, tally, evaluation.source, ranked=ranked)
        for variant, tally in zip(variants, tallies, strict=True)
    }


def _batch(variant: MadeVariant, classifier: Classifier) -> tuple[int, int]:
    """Return how many images to run at once, and how many the graph insists on; 0 if on none."""
    shape = variant.graph.graph.inputs[0].shape
    batch = shape[0] if shape is not None else None
    return batch_size(variant.graph, classifier.image), batch if isinstance(batch, int) else 0


def _filled(images: Images, fixed: int) -> Images:
    """Return as many images as the graph takes, the last one repeated."""
    missing = max(0, fixed - len(images))
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
