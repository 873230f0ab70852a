"""Judges variants: PyTorch in float64 beside each of them, on real images, in one pass.

    signal to noise    of all logits; exact on few images, so it has a floor of its own
    agreement          the share of images with the same best class, and its Wilson interval
    top-1 drop         where true classes are known, image by image, and its interval

The last two are judged by the gates of `export.verdict.gates`, which also say when the images are
too few to show anything. Weights drawn at random and heads without classes have no top-1 worth the
name; of them only the signal to noise is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.resume import batch_size
from export.load import Classifier
from export.reference import TorchRunner
from export.variants.evaluation import UNKNOWN, Evaluation, read_evaluation
from export.variants.made import MadeVariant
from export.verdict.gates import (
    ACCURACY_GATES,
    FAIL,
    NOT_SHOWN,
    PASS,
    STATUSES,
    WARN,
    AccuracyGate,
    drop_interval,
)
from runtime.evaluation.statistics import wilson
from runtime.judgement import Judgement, Paired
from runtime.onnx_runner import OnnxRunner
from runtime.runner import Images, Logits
from runtime.terminal import Screen

__all__ = ["LEAST_SQNR_DB", "judge"]

LEAST_SQNR_DB = {"float16": 45.0, "int8": 10.0}
"""Below, a graph is broken, whatever few images say of its classes. Sound ResNets were measured at
70 dB and more in float16. In int8 they reach 37 to 44 dB, but 13 with two classes and smoothed
labels: small logits, whose order the noise does not change."""

_TINY = 1e-200


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
    tallies = [_Tally() for _ in variants]
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
        variant.name: _conclude(variant, tally, evaluation.source, ranked=ranked)
        for variant, tally in zip(variants, tallies, strict=True)
    }


@dataclass
class _Tally:
    """What was seen of one variant."""

    images: int = 0
    signal: float = 0.0
    noise: float = 0.0
    agreeing: int = 0
    known: int = 0
    reference_right: int = 0
    became_wrong: int = 0
    became_right: int = 0
    finite: bool = field(default=True)

    def add(self, truth: Logits, answer: Logits, classes: NDArray[np.intp]) -> None:
        given = answer.astype(np.float64)
        self.finite &= bool(np.isfinite(given).all())
        self.images += len(truth)
        self.signal += float(np.square(truth).sum())
        self.noise += float(np.square(given - truth).sum())
        expected, found = truth.argmax(1), given.argmax(1)
        self.agreeing += int((expected == found).sum())
        labelled = classes != UNKNOWN
        right, kept = (expected == classes)[labelled], (found == classes)[labelled]
        self.known += int(labelled.sum())
        self.reference_right += int(right.sum())
        self.became_wrong += int((right & ~kept).sum())
        self.became_right += int((~right & kept).sum())

    @property
    def sqnr_db(self) -> float:
        """Signal to noise in decibel; -inf would be no JSON."""
        if not self.finite:
            return -1e3
        return 10 * math.log10(max(self.signal, _TINY) / max(self.noise, _TINY))


def _conclude(variant: MadeVariant, tally: _Tally, source: str, *, ranked: bool) -> Judgement:
    gate = ACCURACY_GATES[variant.precision]
    top1 = _paired(tally)
    found = [_judge_noise(variant.precision, tally)]
    if ranked:
        found += _judge_classes(gate, tally, top1)
    else:
        found.append((PASS, "no trained classes: judged by signal to noise alone"))
    status = max((status for status, _ in found), key=STATUSES.index)
    return Judgement(
        source=source,
        sqnr_db=tally.sqnr_db,
        agreement=wilson(tally.agreeing, tally.images),
        top1=top1,
        status=status,
        remarks=tuple(remark for _, remark in found if remark),
    )


def _judge_noise(precision: str, tally: _Tally) -> tuple[str, str]:
    least = LEAST_SQNR_DB[precision]
    if tally.sqnr_db >= least:
        return PASS, ""
    found = f"{tally.sqnr_db:.1f} dB" if tally.finite else "NaN or infinity"
    return FAIL, f"signal to noise: {found}; expected {least:g} dB at least"


def _judge_classes(
    gate: AccuracyGate, tally: _Tally, top1: Paired | None
) -> Iterator[tuple[str, str]]:
    status = gate.judge_agreement(tally.images, tally.agreeing)
    share = wilson(tally.agreeing, tally.images)
    interval = f"{share.low:.2%} to {share.high:.2%}"
    found = f"agreement {share.value:.2%} ({interval}) of {share.of} images"
    yield status, "" if status == PASS else f"{found}; expected {gate.least_agreement:.0%} at least"
    if top1 is None:
        return
    status = gate.judge_drop(top1.images, top1.became_wrong, top1.became_right)
    interval = f"{top1.drop_low:.2f} to {top1.drop_high:.2f}"
    found = f"top-1 drop {top1.drop_points:.2f} points ({interval}) on {top1.images} images"
    expected = f"expected {gate.usual_points:g} at most"
    remarks = {
        PASS: "",
        WARN: f"{found}; {expected}",
        NOT_SHOWN: f"{found}: too few to show that it is {gate.fail_points:g} at most",
        FAIL: f"{found}; {expected}, and never above {gate.fail_points:g}",
    }
    yield status, remarks[status]


def _paired(tally: _Tally) -> Paired | None:
    if not tally.known:
        return None
    changed = (tally.became_wrong, tally.became_right)
    points, low, high = drop_interval(tally.known, *changed)
    return Paired(
        images=tally.known,
        reference_right=tally.reference_right,
        variant_right=tally.reference_right - tally.became_wrong + tally.became_right,
        became_wrong=tally.became_wrong,
        became_right=tally.became_right,
        drop_points=points,
        drop_low=low,
        drop_high=high,
    )


def _batch(variant: MadeVariant, classifier: Classifier) -> tuple[int, int]:
    """Return how many images to run at once, and how many the graph insists on; 0 if on none."""
    shape = variant.graph.graph.inputs[0].shape
    batch = shape[0] if shape is not None else None
    return batch_size(variant.graph, classifier.image), batch if isinstance(batch, int) else 0


def _filled(images: Images, fixed: int) -> Images:
    """Return as many images as the graph takes, the last one repeated."""
    missing = max(0, fixed - len(images))
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
