"""Diagnoses why a variant fails its gate: tries the usual causes, and names the one that explains.

    channel order            red and blue are swapped
    missing normalisation    the model wants values of 0 to 1, or mean and std of its own
    double normalisation     images are normalised already
    wrong crop               the model wants to see more, or less, of an image
    saturating layer         one tensor clips on the images judged by
    too few images           calibration images do not show what the judged ones do
    sensitive layer          one node needs more than 8 bits

Preprocessing is tried twice over: do the ranges fit if the calibration images are prepared the
other way, and is the float32 model itself more often right if the judged ones are? The others are
tried on the graph: one tensor's range is widened, ranges are measured on half of the images judged
by, a node is left in float. A cause explains a failure if without it the variant keeps its gate on
the other half, and comes near the best of all that was tried: ranges that are far too wide help a
little against any that are too narrow. Of several that explain it, the first one is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from calibration.choose import choose
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.measure import measure
from calibration.probe import Probe
from calibration.ranges import ActivationRanges, Range
from calibration.score import Score, float_logits, score_logits
from calibration.sensitivity.sensitivity import sensitivity, worst_first
from export.halve import unsafe_nodes
from export.quantization.placement import Placement, head
from export.quantize import quantize
from export.variants.evaluation import UNKNOWN, Evaluation, Portion, read_evaluation
from export.variants.preparations import other_preparations
from export.variants.tally import LEAST_SQNR_DB
from export.verdict.gates import ACCURACY_GATES
from runtime.image_spec import ImageSpec
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["Cause", "Patient", "diagnose_float16", "diagnose_int8"]

_IMAGES = 64
"""Of each kind that are looked at."""
_BATCH = 8
_MORE_RIGHT = 0.1
"""Share of images that float32 must get right beyond what it does, for a preparation to explain."""
_LEAST_GAIN_DB = 3.0
"""Below, nothing was explained."""
_NEAR_BEST_DB = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """A variant that failed."""

    graph: ir.Model
    """The float32 graph that was quantized or halved, of normalised images."""
    image: ImageSpec
    calibration: Evaluation
    """The images its ranges were measured on; none for float16."""
    judged: Evaluation
    kept_float: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A usual cause, and what became of the variant without it."""

    name: str
    tried: str
    """What was done, for a person."""
    found: str
    """The numbers."""
    sqnr_db: float
    """Of the variant without it."""
    explains: bool


def diagnose_float16(patient: Patient) -> tuple[Cause, ...]:
    """Return the nodes that do not fit float16 on the images judged by, as causes."""
    batches = [portion.images for portion in _read(patient.judged, patient.image)]
    unsafe = unsafe_nodes(patient.graph, batches)
    return tuple(
        Cause(
            name="saturating layer",
            tried=f"looked at '{node}' on the images judged by",
            found=reason,
            sqnr_db=0.0,
            explains=True,
        )
        for node, reason in unsafe.items()
        if node not in patient.kept_float
    )


def diagnose_int8(
    patient: Patient, placement: Placement, ranges: ActivationRanges, screen: Screen
) -> tuple[Cause, ...]:
    """Return the usual causes, each tried; what explains the failure says so.

    Args:
        patient: the variant.
        placement: of its target.
        ranges: it was made with.
        screen: shows the progress.

    Raises:
        DeployError: if a graph cannot run on the images.
    """
    clinic = _Clinic(patient, placement, ranges)
    with screen.step("diagnose") as step:
        causes = [
            *clinic.try_preparations(),
            clinic.widen_one_range(),
            clinic.measure_on_judged(),
            clinic.leave_one_in_float(screen),
        ]
        best = max(cause.sqnr_db for cause in causes)
        told = tuple(
            dataclasses.replace(
                cause, explains=cause.explains and cause.sqnr_db >= best - _NEAR_BEST_DB
            )
            for cause in causes
        )
        names = [cause.name for cause in told if cause.explains]
        step.detail = f"{len(causes)} causes tried, {names[0] if names else 'none'} explains it"
    return told


class _Clinic:
    """Tries causes on one variant, all on the same images."""

    def __init__(self, patient: Patient, placement: Placement, ranges: ActivationRanges) -> None:
        self._patient, self._placement, self._ranges = patient, placement, ranges
        portions = list(_read(patient.judged, patient.image))
        images = [portion.images for portion in portions]
        self._classes = np.concatenate([portion.classes for portion in portions])
        self._half, self._others = images[::2], images[1::2] or images
        self._reference = float_logits(patient.graph, self._others)
        self._as_is = self._score(ranges)
        self._right = self._share_right(patient.image)

    def try_preparations(self) -> Iterator[Cause]:
        """Yield a cause for each other way to prepare images."""
        for name, tried, image in other_preparations(self._patient.image):
            batches = [p.images for p in _read(self._patient.calibration, image)]
            score = self._score(self._measure(batches)) if batches else self._as_is
            right = self._share_right(image)
            found, explains = self._compare(score)
            sqnr_db = score.sqnr_db
            if self._right is not None and right is not None:
                found += f"; float32 is right on {right:.0%} instead of {self._right:.0%}"
                if right > self._right + _MORE_RIGHT:
                    explains, sqnr_db = True, np.inf  # no range can do as much
            yield Cause(name=name, tried=tried, found=found, sqnr_db=sqnr_db, explains=explains)

    def widen_one_range(self) -> Cause:
        """Return what comes of the one tensor that clips most, were it not to."""
        graph, ranges = self._patient.graph, self._ranges
        peaks = _extremes(graph, list(ranges.tensors), [*self._half, *self._others])

        def excess(name: str) -> float:
            (low, high), old = peaks[name], ranges.tensors[name]
            return max(high - old.high, old.low - low) / (old.high - old.low)

        worst = max(peaks, key=excess)
        (low, high), old = peaks[worst], ranges.tensors[worst]
        wider = Range(low=min(low, old.low), high=max(high, old.high))
        changed = dataclasses.replace(ranges, tensors={**ranges.tensors, worst: wider})
        score = self._score(changed)
        found, explains = self._compare(score)
        return Cause(
            name="saturating layer",
            tried=f"'{worst}' given the range it needs, {low:.3g} to {high:.3g} instead of "
            f"{old.low:.3g} to {old.high:.3g}",
            found=found,
            sqnr_db=score.sqnr_db,
            explains=explains,
        )

    def measure_on_judged(self) -> Cause:
        """Return what comes of ranges that are measured on half of the images judged by."""
        score = self._score(self._measure(self._half))
        found, explains = self._compare(score)
        count = len(self._patient.calibration.files)
        return Cause(
            name="too few images, or unlike those judged by",
            tried=f"ranges of images judged by instead of {count} calibration images",
            found=found,
            sqnr_db=score.sqnr_db,
            explains=explains,
        )

    def leave_one_in_float(self, screen: Screen) -> Cause:
        """Return what comes of the costliest node, were it left in float."""
        graph, grid = self._patient.graph, self._placement.grid
        kept = head(graph).union(self._patient.kept_float)
        nodes = [name for name in quantizable(graph, grid) if name not in kept]
        costs = sensitivity(
            graph,
            [self._half[:2]],
            lambda part, names: emulate_nodes(part, self._ranges, grid, names),
            nodes,
            nodes,
            screen,
        )
        worst = worst_first(costs.nodes)[0].name
        score = self._score(self._ranges, worst)
        found, explains = self._compare(score)
        return Cause(
            name="sensitive layer",
            tried=f"'{worst}' left in float (--keep-float {worst})",
            found=found,
            sqnr_db=score.sqnr_db,
            explains=explains,
        )

    def _measure(self, batches: Sequence[Images]) -> ActivationRanges:
        return choose(
            measure(self._patient.graph, batches), self._ranges.method, self._placement.grid
        )

    def _score(self, ranges: ActivationRanges, *more: str) -> Score:
        graph = self._patient.graph
        kept = head(graph).union(self._patient.kept_float, more)
        quantized = quantize(graph, ranges, self._placement, kept)
        return score_logits(self._reference, float_logits(quantized, self._others))

    def _compare(self, score: Score) -> tuple[str, bool]:
        least = ACCURACY_GATES["int8"].least_agreement
        found = (
            f"{self._as_is.sqnr_db:.1f} to {score.sqnr_db:.1f} dB, agreement "
            f"{self._as_is.top1_agreement:.1%} to {score.top1_agreement:.1%}"
        )
        better = score.sqnr_db > self._as_is.sqnr_db + _LEAST_GAIN_DB
        keeps = score.sqnr_db >= LEAST_SQNR_DB["int8"] and score.top1_agreement >= least
        return found, better and keeps

    def _share_right(self, image: ImageSpec) -> float | None:
        """Return how often float32 is right on judged images prepared so; None if nobody knows."""
        if (self._classes == UNKNOWN).all():
            return None
        portions = list(_read(self._patient.judged, image))
        logits = float_logits(self._patient.graph, [portion.images for portion in portions])
        classes = np.concatenate([portion.classes for portion in portions])
        return float((logits.argmax(1) == classes)[classes != UNKNOWN].mean())


def _read(images: Evaluation, image: ImageSpec) -> Iterator[Portion]:
    """Yield some of the images, prepared as the spec says."""
    step = max(1, len(images.files) // _IMAGES)
    some = dataclasses.replace(images, files=images.files[::step], classes=images.classes[::step])
    yield from read_evaluation(some, image, "", _BATCH)


def _extremes(
    graph: ir.Model, tensors: Sequence[str], batches: Sequence[Images]
) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value of each tensor, 0 among them."""
    probe = Probe(graph, tensors)
    found = dict.fromkeys(tensors, (0.0, 0.0))
    for images in batches:
        for name, values in probe.run(images).items():
            low, high = found[name]
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return found
