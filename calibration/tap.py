"""Taps a graph: a copy whose activations are graph outputs, so that they can be looked at.

Tapped is every float32 tensor that a node makes, and the graph's input. Left out is only what no
quantized graph ever holds: the output of a Conv or Add that nothing but one Relu reads, because
both targets fuse the Relu into the node before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from runtime.errors import OptionError

__all__ = ["activations", "tap", "with_types"]

_FUSES_WITH_RELU = ("Conv", "Add", "BatchNormalization")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger")


def activations(graph: ir.Model) -> tuple[str, ...]:
    """Return the names of the tensors to measure, in the order they are computed.

    Raises:
        OptionError: if the graph is quantized already, or does not compute in float32.
    """
    _refuse_quantized(graph)
    typed = with_types(graph)
    half = [
        v.name for v in _values(typed) if v.dtype in (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    ]
    if half:
        raise OptionError(
            f"the model computes '{half[0]}' in 16 bits; expected a float32 model: calibrate that "
            "one, and quantize it"
        )
    return tuple(
        value.name
        for value in _values(typed)
        if value.name and value.dtype == ir.DataType.FLOAT and not _is_absorbed(value)
    )


def tap(graph: ir.Model, tensors: Collection[str]) -> ir.Model:
    """Return a copy of the graph with the named node outputs among its outputs.

    Outputs of the graph stay where they are; weights are shared with the original.

    Raises:
        OptionError: if the graph has no such tensor.
    """
    tapped = graph.clone()
    made = {value.name: value for node in tapped.graph for value in node.outputs}
    for name in tensors:
        if name not in made:
            raise OptionError(f"the graph has no tensor '{name}' that a node makes")
        value = made[name]
        if not value.is_graph_output():
            value.dtype = value.dtype or ir.DataType.FLOAT
            tapped.graph.outputs.append(value)
    return tapped


def with_types(graph: ir.Model) -> ir.Model:
    """Return the graph if it says the type of each tensor, else a copy that does."""
    if all(value.dtype is not None for value in _values(graph)):
        return graph
    return ShapeInferencePass()(graph.clone()).model


def _refuse_quantized(graph: ir.Model) -> None:
    for node in graph.graph:
        if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
            raise OptionError(
                f"the model is quantized already ({node.op_type} '{node.name}'); expected a "
                "float32 model"
            )


def _values(graph: ir.Model) -> Iterator[ir.Value]:
    yield from graph.graph.inputs
    for node in graph.graph:
        yield from node.outputs


def _is_absorbed(value: ir.Value) -> bool:
    producer, consumers = value.producer(), value.consumers()
    return (
        producer is not None
        and producer.op_type in _FUSES_WITH_RELU
        and not value.is_graph_output()
        and [node.op_type for node in consumers] == ["Relu"]
    )
