"""Reads a bundle's float32 model as a graph of normalised images, whatever the bundle takes."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtime.bundle import Bundle
from runtime.image_spec import CHANNEL_AXES
from runtime.onnx_files.check_self_contained import check_self_contained

__all__ = ["read_graph"]

_FRONT = "pixels."
"""With this begin the names of the nodes that normalise pixels; see export.pixels."""


def read_graph(bundle: Bundle) -> ir.Model:
    """Return the graph of the variant "fp32", its weights within; it takes normalised images.

    What a bundle of pixels normalises inside is left out: ranges and costs are those of the rest,
    and so are the same for both kinds of bundle.

    Raises:
        BundleError: if the file was altered, or its weights lie elsewhere.
    """
    data = bundle.read(bundle.variant("fp32").file)
    check_self_contained(data)
    graph = ir.from_proto(onnx.load_from_string(data))
    return _without_front(graph, bundle.manifest.pixels) if bundle.manifest.pixels else graph


def _without_front(graph: ir.Model, layout: str) -> ir.Model:
    pixels = normalised = graph.graph.inputs[0]
    while str((node := normalised.consumers()[0]).name).startswith(_FRONT):
        normalised = node.outputs[0]
    sides: list[int | str | ir.SymbolicDim | None] = list(pixels.shape or ())
    sides.insert(1, sides.pop(CHANNEL_AXES[layout]))
    images = ir.val("images", ir.DataType.FLOAT, ir.Shape(sides))
    normalised.replace_all_uses_with(images)
    graph.graph.inputs[0] = images
    return RemoveUnusedNodesPass()(graph).model
