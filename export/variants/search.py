"""Searches the nodes to keep in float on the images that int8 is calibrated on.

They are not those that the variants are judged by: what is chosen on some images looks better on
them than it is.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from calibration.images import ImageFile, choose_images
from calibration.resume import batch_size
from export.classifier import Classifier
from export.quantization.placement import Placement
from export.variants.choose_evaluation import true_classes
from export.variants.evaluation import Evaluation, read_portions
from export.variants.find_float_nodes import FloatNodes, Trial, find_float_nodes
from export.variants.make_int8 import Int8Recipe
from export.variants.order import PrecisionOrder
from runtime.preprocess import batch_input
from runtime.terminal import Screen

__all__ = ["search"]

_IMAGES = 256
"""To search with, at most; they are kept in memory."""


def search(
    order: PrecisionOrder,
    classifier: Classifier,
    recipe: Int8Recipe,
    placement: Placement,
    without: Collection[ImageFile],
    screen: Screen,
) -> dict[str, str]:
    """Return the nodes that should stay in float for a target, each with the reason.

    Args:
        order: what is asked for, a calibration folder with it.
        classifier: where the graph comes from.
        recipe: how it becomes int8.
        placement: the target's.
        without: images of the folder to leave alone.
        screen: shows the progress.

    Raises:
        DeployError: if the images cannot be used, or no set of nodes suffices.
    """
    assert order.calibration_data is not None  # PrecisionOrder asks for it
    files, _ = choose_images(order.calibration_data, min(order.images, _IMAGES), without)
    classes = true_classes(files, order.calibration_data, classifier)
    images = Evaluation(files=files, classes=classes, source="")
    with screen.step(f"keep {placement.grid.name}") as step:
        size = batch_size(recipe.equalized, classifier.image)
        found = find_float_nodes(
            _trial(images, classifier, recipe, placement, size), order.max_drop, screen
        )
        step.detail = _describe(found)
    return {name: _reason(found, order.max_drop) for name in found.names}


def _trial(
    images: Evaluation,
    classifier: Classifier,
    recipe: Int8Recipe,
    placement: Placement,
    size: int,
) -> Trial:
    form, spec = recipe.form, classifier.image
    portions = list(read_portions(images, spec, "NCHW", size))
    normalised = [batch_input(portion.images, spec) for portion in portions]
    fed = normalised
    if form.pixels:
        fed = [batch_input(portion.images, spec, form.pixels) for portion in portions]
    return Trial(
        equalized=recipe.equalized,
        ranges=recipe.ranges.ranges(placement.grid),
        placement=placement,
        quantize=lambda kept: form.stamp(recipe.quantize(placement, kept)),
        normalised=normalised,
        fed=fed,
        classes=np.concatenate([portion.classes for portion in portions]),
    )


def _describe(found: FloatNodes) -> str:
    nodes = f"{len(found.names)} nodes stay in float" if found.names else "all nodes in int8"
    return (
        f"{nodes}: {found.lost_points:.2f} points of {found.images} images lost, "
        f"{found.lost_points_without:.2f} with all in int8; {found.tried} graphs tried"
    )


def _reason(found: FloatNodes, max_drop: float) -> str:
    return (
        f"--keep-float auto: with all nodes in int8 {found.lost_points_without:.2f} points of "
        f"{found.images} calibration images are lost, allowed {max_drop:g}"
    )
