"""Makes the variants "int8.trt" and "int8.cpu" from one calibration.

    TensorRT       int8 pairs where its kernels look for them; the rest float32, or float16
    ONNX Runtime   uint8 activations, int32 biases; what its optimizer makes of it is read back

The head, a thousandth of the work, stays in float in both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from calibration.equalize import equalize
from calibration.ranges_file import RangesFile
from export.check_cpu_graph import check_cpu_graph
from export.check_quantized import check_quantized
from export.halve import halve
from export.pixels import fold_normalisation
from export.placement import ONNXRUNTIME, ONNXRUNTIME_WITHOUT_VNNI, TENSORRT, Placement, head
from export.quantize import quantize
from export.read_back import check_integer_convolutions
from export.variants.made import Form, MadeVariant
from export.weight_scales import least_error
from runtime.terminal import Screen

__all__ = ["Int8Recipe", "make_int8", "quantize_for"]

HEAD = "head: a thousandth of the work, which float costs nothing and int8 accuracy"


@dataclass(frozen=True, kw_only=True)
class Int8Recipe:
    """How a float32 graph becomes int8."""

    ranges: RangesFile
    kept_float: Mapping[str, str]
    """Nodes beside the head that stay in float, each with the reason."""
    vnni: bool
    """Whether the processors that int8.cpu is for have VNNI."""
    half_rest: bool
    """Whether what is not int8 in int8.trt is float16."""
    unsafe: Collection[str]
    """Nodes that must not be float16."""


def make_int8(
    graph: ir.Model, recipe: Int8Recipe, form: Form, screen: Screen
) -> tuple[MadeVariant, MadeVariant]:
    """Return the variant for TensorRT and the one for ONNX Runtime on the CPU.

    Args:
        graph: float32, simplified; the one that the ranges are of.
        recipe: how.
        form: what the variants take.
        screen: shows the progress.

    Raises:
        OptionError: if a node to keep in float does not exist, or the graph cannot be quantized.
        VerdictError: if ONNX Runtime would not run every convolution in integers.
    """
    equalized = equalize(graph, recipe.ranges.peaks)
    kept = dict.fromkeys(sorted(head(graph)), HEAD) | dict(recipe.kept_float)
    with screen.step("int8.trt") as step:
        quantized = quantize_for(TENSORRT, equalized, recipe, form)
        if recipe.half_rest:
            names = {str(node.name) for node in quantized.graph}
            quantized = halve(quantized, names.intersection(recipe.unsafe))
        check_quantized(quantized)
        trt = _make("int8.trt", quantized, TENSORRT, kept, form)
        step.detail = _describe(trt, "the rest in float16" if recipe.half_rest else "")
    placement = ONNXRUNTIME if recipe.vnni else ONNXRUNTIME_WITHOUT_VNNI
    with screen.step("int8.cpu") as step:
        quantized = quantize_for(placement, equalized, recipe, form)
        check_cpu_graph(quantized)
        cpu = _make("int8.cpu", quantized, placement, kept, form)
        integer = _quantized_convolutions(quantized, kept)
        check_integer_convolutions(cpu.data, integer)
        layout = "for VNNI" if recipe.vnni else "weights to 64, exact without VNNI, too"
        step.detail = _describe(cpu, f"{len(integer)} QLinearConv, {layout}")
    return trt, cpu


def quantize_for(
    placement: Placement, equalized: ir.Model, recipe: Int8Recipe, form: Form
) -> ir.Model:
    """Return an equalized graph quantized for a target, taking what the form says.

    Raises:
        OptionError: as `make_int8`.
    """
    ranges = recipe.ranges.ranges(placement.grid)
    kept = head(equalized).union(recipe.kept_float)
    if form.pixels:
        equalized = fold_normalisation(equalized, form.image, placement, form.pixels)
    return quantize(equalized, ranges, placement, kept, least_error)


def _quantized_convolutions(graph: ir.Model, kept: Collection[str]) -> list[str]:
    convolutions = [str(node.name) for node in graph.graph if node.op_type == "Conv"]
    return [name for name in convolutions if name not in kept]


def _make(
    name: str,
    graph: ir.Model,
    placement: Placement,
    kept: dict[str, str],
    form: Form,
) -> MadeVariant:
    return MadeVariant(
        name=name,
        precision="int8",
        graph=graph,
        data=form.stamp(graph),
        placement=placement.name,
        kept_float=kept,
    )


def _describe(variant: MadeVariant, more: str) -> str:
    size = f"{len(variant.data) / 2**20:.1f} MiB"
    return f"{size}, {more}" if more else size
