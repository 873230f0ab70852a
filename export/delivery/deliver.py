"""The straight line from a name to a verified bundle.

load, fold, trace, simplify, check; the variants of lower precision, each judged; pack
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from export.classifier import Classifier
from export.delivery.input_shape import input_shape
from export.delivery.order import Order
from export.delivery.pack import Content, pack, stamp
from export.fold import fold
from export.load import load
from export.models.count import count_macs, count_parameters
from export.parity.answers import Answers
from export.parity.check import Check, check
from export.parity.grid import Grid, plan_grid, plan_static_grid
from export.parity.normalising import normalising
from export.parity.report import ParityReport
from export.pixels import normalise_inside
from export.recipes import float32, float32_static
from export.samples import sample_images
from export.simplify import Simplification
from export.variants.check_kept import check_kept
from export.variants.choose_evaluation import choose_evaluation
from export.variants.made import Form
from export.variants.make_variants import Task, Variants, make_variants
from export.variants.raise_failures import raise_failures
from runtime.building.orders import decide_options
from runtime.bundle import Bundle
from runtime.errors import OptionError, VerdictError
from runtime.manifest import ModelInfo
from runtime.publishing.publish import check_writable
from runtime.results_file import results_path
from runtime.terminal import Screen

__all__ = ["Delivery", "deliver"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What was published, and what was found on the way."""

    bundle: Bundle
    simplification: Simplification
    check: Check
    variants: Variants


def deliver(order: Order, screen: Screen) -> Delivery:
    """Publish the bundle that was ordered.

    Raises:
        VerdictError: if the graph does not compute what PyTorch computes; nothing is published.
        DeployError: if anything of the order cannot work; nothing is published.
    """
    check_writable(order.output)
    with screen.step("load") as step:
        classifier = load(order.name, order.options)
        model = _describe(classifier)
        step.detail = f"{model.parameters:,} parameters, {_origin(classifier)}"
    _check_engines(order, classifier)
    for note in classifier.notes:
        screen.note(f"{'':<12}           {note}")
    if classifier.classes == 1 and classifier.outputs == ("logits",):
        screen.warn("one class has a probability of 100 % on every image; expected two or more")
    task = _task(order, classifier, screen)
    grid = _plan(order, classifier, model.macs)
    with screen.step("fold"):
        folded = fold(classifier)
    # PyTorch computes while the graph is traced.
    with Answers(_asked(order, classifier), grid.cases) as answers:
        simplification = _simplified(order, folded, screen)
        check_kept(order.precision, simplification.graph)
        graph = _fed(order, classifier, simplification.graph)
        data = stamp(graph, classifier, order.pixels)
        verdict = check(answers, folded, data, grid, screen)
    if not verdict.report.passed:
        raise VerdictError(_complaint(verdict.report))
    variants = _make_variants(order, task, simplification.graph, screen) if task else Variants()
    with screen.step("publish") as step:
        bundle = pack(
            order.output,
            Content(
                classifier=classifier,
                model=model,
                graph=graph,
                data=data,
                verdict=verdict,
                variants=variants,
            ),
        )
        size = sum(bundle.manifest.files[v.file].size for v in bundle.manifest.variants.values())
        step.detail = f"{len(bundle.manifest.files) + 1} files, {size / 2**20:.1f} MiB of models"
    return Delivery(bundle=bundle, simplification=simplification, check=verdict, variants=variants)


def _make_variants(order: Order, task: Task, graph: ir.Model, screen: Screen) -> Variants:
    form = Form(
        image=task.classifier.image,
        pixels=order.pixels,
        stamp=lambda made: stamp(made, task.classifier, order.pixels),
    )
    ranges = results_path(order.output, "ranges")
    checkpoint = ranges.with_name(f"{ranges.name}.part")
    variants = make_variants(task, graph, form, checkpoint, screen)
    raise_failures(variants, screen)
    return variants


def _task(order: Order, classifier: Classifier, screen: Screen) -> Task | None:
    """Return what variants to make; None if there are none. Asks for images before long work."""
    if not order.precision.reduced:
        return None
    _check_static_shape(order, classifier.image.crop)
    asked = _asked(order, classifier)
    evaluation = choose_evaluation(order.precision, classifier, screen)
    return Task(order=order.precision, classifier=asked, evaluation=evaluation)


def _check_static_shape(order: Order, side: int) -> None:
    """Return if images of the model's size fit the fixed shape that was ordered, if any was."""
    if order.static_shape is not None and order.static_shape[2:] != (side, side):
        given = "x".join(map(str, order.static_shape))
        raise OptionError(
            f"--static: given '{given}', and images of {side}x{side} to calibrate on and judge by; "
            f"expected one size; choose it with --resize and --crop, or leave --precision out"
        )


def _check_engines(order: Order, classifier: Classifier) -> None:
    shape = input_shape(order.static_shape, classifier.in_channels, order.pixels)
    for request in order.engines:
        decide_options(shape, classifier.image, request, order.pixels)


def _describe(classifier: Classifier) -> ModelInfo:
    side = classifier.image.crop
    return ModelInfo(
        name=classifier.name,
        classes=classifier.classes,
        parameters=count_parameters(classifier.module),
        macs=count_macs(classifier.module, classifier.in_channels, side, side),
    )


def _origin(classifier: Classifier) -> str:
    weights = classifier.weights
    trained = " (untrained)" if weights.origin == "random" else ""
    return f"{weights.origin} weights{trained}, {weights.detail}"


def _simplified(order: Order, classifier: Classifier, screen: Screen) -> Simplification:
    if order.static_shape is None:
        return float32(classifier, order.opset, screen)
    return float32_static(classifier, order.static_shape, order.opset, screen)


def _asked(order: Order, classifier: Classifier) -> Classifier:
    """Return what is asked for the right answers: it takes what the graphs take."""
    return normalising(classifier, order.pixels) if order.pixels else classifier


def _fed(order: Order, classifier: Classifier, graph: ir.Model) -> ir.Model:
    """Return the graph of normalised images, or one of pixels if that was ordered."""
    return normalise_inside(graph, classifier.image, order.pixels) if order.pixels else graph


def _plan(order: Order, classifier: Classifier, macs: int) -> Grid:
    photographs = sample_images(classifier.samples)
    if order.static_shape is None:
        budget = order.parity_budget_gmacs
        return plan_grid(classifier, photographs, budget, macs, order.pixels)
    return plan_static_grid(classifier, photographs, order.static_shape, order.pixels)


def _complaint(report: ParityReport) -> str:
    if report.weights is not None and not report.weights.passed:
        return (
            f"parity failed: the weights of '{report.weights.worst_layer}' are off those of the "
            f"module by {report.weights.largest_gap:.1e} of their size; nothing was published"
        )
    worst = report.worst
    where = f"on {'x'.join(map(str, worst.shape))}, {worst.content}, image {worst.worst_image}"
    if worst.ratio is None:
        found = "gave NaN, infinity or another shape" if worst.finite else "gave NaN or infinity"
        return f"parity failed: {report.candidate} {found} {where}; nothing was published"
    return (
        f"parity failed: {report.candidate} is off {report.reference} by {worst.error:.2e} "
        f"{where}: {worst.ratio:.1f} times what float32 rounding explains, "
        f"allowed {report.noise_multiple:g}; nothing was published"
    )
