"""The straight line from a float32 graph to its judged variants of lower precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from calibration.calibrate import calibrate
from calibration.equalize import equalize
from calibration.images import ImageFile, choose_images
from calibration.keys import ModelKey
from calibration.ranges_file import RangesFile
from calibration.show import calibration_warnings
from export.load import Classifier
from export.placement import TENSORRT
from export.samples import sample_images
from export.variants.evaluation import Evaluation, choose_evaluation
from export.variants.judge import judge
from export.variants.made import Form, MadeVariant
from export.variants.make_float16 import find_unsafe, make_float16
from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt
from export.variants.order import PrecisionOrder
from export.variants.search import search
from export.variants.vnni import has_vnni
from export.verdict.gates import FAIL, WARN
from runtime.errors import OptionError, VerdictError
from runtime.judgement import Judgement
from runtime.terminal import Screen

__all__ = ["Variants", "make_variants", "raise_failures"]

ASKED = "asked for with --keep-float"


@dataclass(frozen=True, kw_only=True, eq=False)
class Variants:
    """The variants of lower precision, and how they did."""

    made: tuple[MadeVariant, ...] = ()
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    """By the variant's name."""
    ranges: RangesFile | None = None
    """What int8 was made with."""


def make_variants(
    order: PrecisionOrder,
    classifier: Classifier,
    graph: ir.Model,
    form: Form,
    checkpoint: Path,
    screen: Screen,
) -> Variants:
    """Return the variants that are asked for, judged; a judgement may say that one failed.

    Args:
        order: what is asked for.
        classifier: where the graph comes from.
        graph: float32, simplified, of normalised images.
        form: what the variants take.
        checkpoint: the file that keeps the state while the calibration runs.
        screen: shows the progress.

    Raises:
        DeployError: if the images, the ranges or the options cannot be used.
    """
    _refuse_unknown(order, graph)
    evaluation = choose_evaluation(order, classifier, screen)
    ranges = _ranges(order, classifier, graph, evaluation, checkpoint, screen)
    unsafe = {}
    if "fp16" in order.precisions or order.int8_rest == "fp16":
        files = _gate_images(order, classifier, evaluation)
        unsafe = find_unsafe(graph, classifier.image, files, screen)
    made: list[MadeVariant] = []
    if "fp16" in order.precisions:
        made.append(make_float16(graph, unsafe, form, screen))
    if ranges is not None:
        recipe = Int8Recipe(
            equalized=equalize(graph, ranges.peaks),
            ranges=ranges,
            form=form,
            vnni=has_vnni(),
            half_rest=order.int8_rest == "fp16",
            unsafe=unsafe,
        )
        made += _make_int8(order, classifier, recipe, evaluation, screen)
    judgements = judge(made, classifier, evaluation, form.pixels, screen)
    return Variants(made=tuple(made), judgements=judgements, ranges=ranges)


def _make_int8(
    order: PrecisionOrder,
    classifier: Classifier,
    recipe: Int8Recipe,
    evaluation: Evaluation,
    screen: Screen,
) -> list[MadeVariant]:
    made = []
    for make, placement in ((make_tensorrt, TENSORRT), (make_cpu, recipe.for_cpu)):
        kept = dict.fromkeys(order.keep_float, ASKED)
        if order.searches:
            kept = search(order, classifier, recipe, placement, evaluation.files, screen)
        made.append(make(recipe, kept, screen))
    return made


def raise_failures(variants: Variants, screen: Screen) -> None:
    """Return if no variant fails its gate; what is worth a warning is told as one.

    Raises:
        VerdictError: of the first that does; the others are shown as warnings.
    """
    failed = []
    for name, judgement in variants.judgements.items():
        for remark in judgement.remarks if judgement.status == WARN else ():
            screen.warn(f"{name}: {remark}")
        if judgement.status == FAIL:
            failed.append(f"{name} fails its gate: {'; '.join(judgement.remarks)}")
    for complaint in failed[1:]:
        screen.warn(complaint)
    if failed:
        raise VerdictError(f"{failed[0]}; nothing was published")


def _refuse_unknown(order: PrecisionOrder, graph: ir.Model) -> None:
    """Ask before minutes of calibration whether the nodes to keep are there."""
    names = [str(node.name) for node in graph.graph]
    unknown = [] if order.searches else [n for n in order.keep_float if n not in names]
    if unknown:
        convolutions = ", ".join(str(n.name) for n in graph.graph if n.op_type == "Conv")
        raise OptionError(
            f"--keep-float: the graph has no node '{unknown[0]}'; its convolutions: {convolutions}"
        )


def _ranges(
    order: PrecisionOrder,
    classifier: Classifier,
    graph: ir.Model,
    evaluation: Evaluation,
    checkpoint: Path,
    screen: Screen,
) -> RangesFile | None:
    if "int8" not in order.precisions:
        return None
    if order.ranges is not None:
        return RangesFile.load(order.ranges, ModelKey.of(graph, classifier.image))
    calibration = calibrate(
        graph, classifier.image, order.calibration(checkpoint, evaluation.files), screen
    )
    for warning in calibration_warnings(calibration):
        screen.warn(warning)
    return calibration.ranges


def _gate_images(
    order: PrecisionOrder, classifier: Classifier, evaluation: Evaluation
) -> Sequence[ImageFile]:
    """Return real images for the gate of float16: those to calibrate on, or samples."""
    if order.calibration_data is not None:
        files, _ = choose_images(order.calibration_data, order.images, evaluation.files)
        return files
    return [ImageFile(path=path, sha256="") for path in sample_images(classifier.samples)]
