"""Makes the variants "int8.trt" and "int8.cpu" from one calibration.

    TensorRT       int8 pairs where its kernels look for them; the rest float32, or float16
    ONNX Runtime   uint8 activations, int32 biases; what its optimizer makes of it is read back

The head, a thousandth of the work, stays in float in both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from calibration.ranges_file import RangesFile
from calibration.rounded_tensors import head
from calibration.weight_scales import least_error
from export.halve import halve
from export.pixels import fold_normalisation
from export.quantization.check_cpu_graph import check_cpu_graph
from export.quantization.check_quantized import check_quantized
from export.quantization.placement import (
    ONNXRUNTIME,
    ONNXRUNTIME_WITHOUT_VNNI,
    TENSORRT,
    Placement,
)
from export.quantization.read_back import check_integer_convolutions
from export.quantize import quantize
from export.variants.fit_head import HeadFit
from export.variants.made import Form, MadeVariant
from export.variants.measure_slowdown import measure_slowdown
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["Int8Recipe", "make_cpu", "make_tensorrt"]

HEAD = "head: a thousandth of the work, which float costs nothing and int8 accuracy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Int8Recipe:
    """How a float32 graph becomes int8."""

    equalized: ir.Model
    """The graph whose ranges they are."""
    ranges: RangesFile
    form: Form
    """What the variants take."""
    vnni: bool
    """Whether the processors that int8.cpu is for have VNNI."""
    half_rest: bool
    """Whether what is not int8 in int8.trt is float16."""
    unsafe: Collection[str]
    """Nodes that must not be float16."""
    head_fit: HeadFit | None
    """What heads are refitted with; None leaves them as they are."""

    @property
    def for_cpu(self) -> Placement:
        """Where ONNX Runtime wants its integers."""
        return ONNXRUNTIME if self.vnni else ONNXRUNTIME_WITHOUT_VNNI

    def quantize(self, placement: Placement, kept: Collection[str]) -> ir.Model:
        """Return the graph quantized for a target, with the head and these nodes in float.

        Raises:
            OptionError: if a node does not exist, or the graph cannot be quantized.
        """
        graph, form = self.equalized, self.form
        floats = {*head(graph), *kept}
        if form.pixels:
            graph = fold_normalisation(graph, form.image, placement, form.pixels)
        ranges = self.ranges.ranges(placement.grid)
        quantized = quantize(graph, ranges, placement, floats, least_error)
        if not self.half_rest or placement is not TENSORRT:
            return quantized
        names = {str(node.name) for node in quantized.graph}
        return halve(quantized, names.intersection(self.unsafe))


def make_tensorrt(recipe: Int8Recipe, kept: Mapping[str, str], screen: Screen) -> MadeVariant:
    """Return the variant "int8.trt".

    Args:
        recipe: how.
        kept: nodes beside the head that stay in float, each with the reason.
        screen: shows the progress.

    Raises:
        OptionError: if a node to keep in float does not exist, or the graph cannot be quantized.
    """
    with screen.step("int8.trt") as step:
        quantized = recipe.quantize(TENSORRT, kept)
        if recipe.head_fit is not None:
            quantized = recipe.head_fit.fit_as_written(quantized)
        check_quantized(quantized)
        made = _make("int8.trt", quantized, TENSORRT, kept, recipe)
        rest = "float16" if recipe.half_rest else "float32"
        step.detail = f"{len(made.data) / 2**20:.1f} MiB, the rest in {rest}"
    return made


def make_cpu(recipe: Int8Recipe, kept: Mapping[str, str], screen: Screen) -> MadeVariant:
    """Return the variant "int8.cpu"; as `make_tensorrt`.

    Raises:
        OptionError: as `make_tensorrt`.
        VerdictError: if ONNX Runtime would not run just the quantized convolutions in integers.
    """
    placement = recipe.for_cpu
    with screen.step("int8.cpu") as step:
        quantized = recipe.quantize(placement, kept)
        if recipe.head_fit is not None:
            quantized = recipe.head_fit.fit_in_integers(quantized)
        check_cpu_graph(quantized)
        made = _make("int8.cpu", quantized, placement, kept, recipe)
        integer = _quantized_convolutions(quantized, kept)
        check_integer_convolutions(made.data, integer)
        layout = "for VNNI" if recipe.vnni else "weights to 64: exact without VNNI"
        step.detail = f"{len(made.data) / 2**20:.1f} MiB, {len(integer)} QLinearConv, {layout}"
    if not kept:
        return made
    with screen.step("slowdown") as step:
        plain = recipe.form.stamp(recipe.quantize(placement, ()))
        slowdown = measure_slowdown(made.data, plain, _noise(recipe))
        step.detail = f"{slowdown:.2f} times as long; nodes in float: {len(kept)}"
    return dataclasses.replace(made, kept_float_slowdown=slowdown)


def _noise(recipe: Int8Recipe) -> Images:
    """Return random images: what they show does not change how long they take."""
    rng, form = np.random.default_rng(0), recipe.form
    shape = recipe.equalized.graph.inputs[0].shape
    batch = shape[0] if shape is not None and isinstance(shape[0], int) else 1
    pixels = rng.integers(0, 256, (batch, *form.image.shape(form.pixels or "NCHW")), np.uint8)
    return pixels if form.pixels else np.asarray(pixels / 255, np.float32)


def _quantized_convolutions(graph: ir.Model, kept: Collection[str]) -> list[str]:
    convolutions = [str(node.name) for node in graph.graph if node.op_type == "Conv"]
    return [name for name in convolutions if name not in kept]


def _make(
    name: str,
    graph: ir.Model,
    placement: Placement,
    kept: Mapping[str, str],
    recipe: Int8Recipe,
) -> MadeVariant:
    return MadeVariant(
        name=name,
        precision="int8",
        graph=graph,
        data=recipe.form.stamp(graph),
        placement=placement.name,
        kept_float=dict.fromkeys(sorted(head(recipe.equalized)), HEAD) | dict(kept),
    )
