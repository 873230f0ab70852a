"""Finds out whether images are prepared as the model wants them, whatever its precision.

    where classes are known    preparations are told apart by how often float32 is right
    where that shows nothing   by how near the images come to those its BatchNorm was trained on

Both start from one list of what is done wrong as a rule, that of `export.accuracy.plan_changes`.
What these images do not tell from the best is told with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from torch import nn

from calibration.probe import Probe
from export.accuracy.case import Case
from export.accuracy.looks import Look, Looks
from export.accuracy.plan_changes import Change
from export.accuracy.plan_treatments import Treatment
from export.accuracy.result import Trial
from export.accuracy.trained_statistics import training_distances
from export.accuracy.view import View
from export.variants.evaluation import UNKNOWN, Evaluation, spread
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

__all__ = ["Model", "Preparation", "find_preparation"]

_IMAGES = 256
"""With classes that are looked at, at most."""
_UNLABELLED = 64
"""Images whose values are compared with those of the training: channels have many on each."""
_AS_NEAR = 0.05
"""Nats between which preparations are not told apart: as far off as sound models are."""
_FAR = 0.1
"""Nats that a preparation must come nearer, to be told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """What is looked at in float32."""

    module: nn.Module
    """As it was trained, with its BatchNorm; of normalised images."""
    graph: ir.Model
    """Float32, of normalised images."""
    image: ImageSpec
    """How they are prepared."""
    classes: int


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """A way to prepare images that the model wants instead of the one it is given."""

    kind: str
    """What is wrong, in the field's terms: "channel order", "missing normalisation"."""
    change: str
    """What is done instead."""
    cure: str
    evidence: str
    """The numbers."""
    as_good: tuple[str, ...]
    """Other changes that these images do not tell from it."""
    image: ImageSpec | None
    """Of the preparation; None if none can express it."""


def find_preparation(model: Model, judged: Evaluation, screen: Screen) -> Preparation | None:
    """Return what the model wants instead of what it is given; None if nothing shows that.

    Args:
        model: trained weights.
        judged: images, with their classes where they are known.
        screen: shows the progress.

    Raises:
        ImageError: if no image can be read.
        BackendError: if the graph cannot run on them.
    """
    return _by_classes(model, judged, screen) or _by_training(model, judged)


def _by_classes(model: Model, judged: Evaluation, screen: Screen) -> Preparation | None:
    some = spread(judged, _IMAGES)
    pairs = zip(some.files, some.classes, strict=True)
    known = [(file.path, true_class) for file, true_class in pairs if true_class != UNKNOWN]
    if not known:
        return None
    case = Case(
        labels=(),
        classes=model.classes,
        truths=np.array([true_class for _, true_class in known], np.int32),
        looks=Looks(
            paths=[path for path, _ in known],
            spec=model.image,
            answerers={"": _Classes(model.graph)},
            warn=lambda _: None,  # the judgement has named what cannot be read
        ),
        fixed_size=_has_fixed_size(model.graph),
        screen=screen,
    )
    given = View(spec=model.image)
    # The order of the labels is given: no preparation, and nothing that a precision could lose.
    base = Treatment(look=Look(view=given), order=np.arange(model.classes, dtype=np.int32))
    found = case.choose(case.try_all(base, case.measure_own(base), "preparations"))
    if found is None:
        return None
    cause, treatment = found
    return _told(treatment, treatment.look.view, _rights(cause.trial), cause.as_good)


def _rights(trial: Trial) -> str:
    before, after = trial.before, trial.top1
    return (
        f"float32 is right on {after.value:.0%} of {after.of} images instead of {before.value:.0%}"
    )


def _by_training(model: Model, judged: Evaluation) -> Preparation | None:
    paths = [file.path for file in spread(judged, _UNLABELLED).files]
    given = View(spec=model.image)
    fixed_size = _has_fixed_size(model.graph)
    as_given, others = training_distances(model.module, given, paths, fixed_size=fixed_size)
    if as_given is None:
        return None
    nearest = min(nats for _, nats in others)
    if not as_given > nearest + _FAR:
        return None
    as_good = [each for each in others if each[1] < nearest + _AS_NEAR]
    # Of several kinds the first of the plan: what scales values explains them more simply than a
    # crop. Numbers of these very images fit them whatever is wrong, so they come last.
    told = [each for each in as_good if not each[0].measured] or as_good
    change, nats = min(
        (each for each in told if each[0].kind == told[0][0].kind), key=lambda each: each[1]
    )
    evidence = (
        f"its BatchNorm was trained on values {as_given:.2f} nats from those it is given, and "
        f"{nats:.2f} from these"
    )
    if len(as_good) > 1:
        evidence += "; classes would tell more: --eval-data with a folder for each"
    names = tuple(
        other.name if other.kind == change.kind else f"{other.kind}: {other.name}"
        for other, _ in as_good
        if other is not change
    )
    return _told(change, change.view, evidence, names)


def _told(
    treatment: Change | Treatment, wanted: View, evidence: str, as_good: tuple[str, ...]
) -> Preparation:
    return Preparation(
        kind=treatment.kind,
        change=treatment.name,
        cure=treatment.cure,
        evidence=evidence,
        as_good=as_good,
        image=None if wanted.squashed or wanted.inverted else wanted.spec,
    )


def _has_fixed_size(graph: ir.Model) -> bool:
    shape = graph.graph.inputs[0].shape
    return shape is not None and isinstance(shape[2], int)


class _Classes:
    """Names the most probable class, by the float32 graph."""

    def __init__(self, graph: ir.Model) -> None:
        self._output = str(graph.graph.outputs[0].name)
        self._probe = Probe(graph, [self._output])

    def classes(self, images: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return one class an image."""
        found: NDArray[np.int32] = self._probe.run(images)[self._output].argmax(1).astype(np.int32)
        return found
