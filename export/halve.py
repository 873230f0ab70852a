"""Halves a graph: float16 inside, float32 at its borders.

    every float32 weight     becomes the nearest float16
    a value that crosses     passes a Cast: behind the input, before the output, and around the
    from one to the other    nodes that are to stay in float32

The graph then carries its types, as TensorRT's strongly typed networks want them: no operator reads
two. float16 ends at 65504 and is fine to 2^-14 (below, it loses bits). Nothing is clamped: weights
that float16 cannot hold are refused unless their node stays in float32, and `unsafe_nodes` finds on
real images where the activations would not fit.

Refused: BatchNormalization, which belongs folded into its convolution in float32 first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

from calibration.probe import Probe
from runtime.errors import OptionError
from runtime.runner import Images

__all__ = ["halve", "unsafe_nodes"]

LARGEST = 3e4
"""Largest activation that is left to float16: other images may bring twice as much, and float16
ends at 65504."""
SMALLEST = 2.0**-14
"""float16's smallest normal number. A tensor that lies below it as a whole would lose its bits."""

LOST_SHARE = 2.0**-10
"""Largest share of a tensor of weights, as norms, that rounding may cost. Rounding of normal
numbers costs 2^-13 or so; more means weights so small that float16 drops their bits."""

_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
_SIXTEEN_BITS = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_BIAS = 2
"""The input of Conv and Gemm that holds the bias."""


def halve(graph: ir.Model, keep_float32: Collection[str] = ()) -> ir.Model:
    """Return a copy of a float32 graph that computes in float16; input and output stay float32.

    A quantized graph keeps its integers; what is float32 between them becomes float16, and so do
    the scales.

    Args:
        graph: BatchNormalization folded; it is left as it is.
        keep_float32: names of nodes to leave in float32.

    Raises:
        OptionError: if a name is unknown, the graph holds BatchNormalization or float16 already, or
            float16 cannot hold the weights of a node that is not to stay in float32.
    """
    lift = LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
    half = lift(graph.clone()).model
    _refuse_unknown(half.graph, keep_float32)
    _refuse_operators(half.graph)
    if any(node.op_type in _QUANTIZERS for node in half.graph):
        # Opset 19 lets scales be float16. To a ResNet's operators it only adds types.
        half.opset_imports[""] = max(half.opset_imports[""], 19)
    casts = _Casts(half.graph)
    for node in tuple(half.graph):
        stays = node.name in keep_float32
        if not stays:
            _refuse_weights(node)
        casts.set_type(node, ir.DataType.FLOAT if stays else ir.DataType.FLOAT16)
    casts.restore_outputs()
    return RemoveUnusedNodesPass()(half).model


def unsafe_nodes(
    graph: ir.Model, batches: Iterable[Images], largest: float = LARGEST
) -> dict[str, str]:
    """Return the nodes that should stay in float32, each with the reason, for a person.

    They are those that read or write a tensor whose largest magnitude on the images is above
    the given one or below SMALLEST, and those whose weights float16 cannot hold.

    Raises:
        BackendError: if the graph cannot run on the images.
    """
    values = {
        str(value.name): 0.0
        for node in graph.graph
        for value in node.outputs
        if value.dtype == ir.DataType.FLOAT
    }
    probe = Probe(graph, tuple(values))
    for images in batches:
        for name, seen in probe.run(images).items():
            values[name] = max(values[name], float(np.abs(seen).max()))
    reasons: dict[str, str] = {}
    for node in graph.graph:
        peaks = [values[v.name] for v in (*node.inputs, *node.outputs) if v and v.name in values]
        unfit = [peak for peak in peaks if peak > largest or 0 < peak < SMALLEST]
        if unfit:
            reasons[str(node.name)] = f"activations reach {unfit[0]:.2g}"
        elif reason := _unfit_weights(node):
            reasons[str(node.name)] = reason
    return reasons


class _Casts:
    """Gives nodes a type, and puts a Cast wherever a value of the other type arrives."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._made: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def set_type(self, node: ir.Node, dtype: ir.DataType) -> None:
        """Make a node compute in the type; the nodes before it must have theirs already."""
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype in _FLOATS and value.dtype != dtype:
                node.replace_input_with(index, self._as(value, dtype))
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT and node.op_type != "Cast":
                value.type = ir.TensorType(dtype)  # its old type object is the original graph's

    def restore_outputs(self) -> None:
        """Give the outputs of the graph their type back, under their own names."""
        for index, value in enumerate(self._graph.outputs):
            if value.dtype == ir.DataType.FLOAT16:
                name, value.name = value.name, f"{value.name}.float16"
                self._graph.outputs[index] = self._as(value, ir.DataType.FLOAT)
                self._graph.outputs[index].name = name

    def _as(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        if (value, dtype) not in self._made:
            make = self._convert if value.is_initializer() else self._insert
            self._made[value, dtype] = make(value, dtype, f"{value.name}.{dtype.name.lower()}")
        return self._made[value, dtype]

    def _convert(self, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        assert value.const_value is not None  # it is an initializer
        tensor = ir.tensor(value.const_value.numpy().astype(dtype.numpy()), name=name)
        made = ir.val(name, dtype, ir.Shape(tensor.numpy().shape), const_value=tensor)
        self._graph.register_initializer(made)
        return made

    def _insert(self, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        made = ir.val(name, dtype, value.shape)
        cast = ir.node("Cast", [value], {"to": dtype}, outputs=[made], name=name)
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], cast)
        else:
            self._graph.insert_after(producer, cast)
        return made


def _refuse_unknown(graph: ir.Graph, names: Collection[str]) -> None:
    unknown = set(names) - {str(node.name) for node in graph}
    if unknown:
        raise OptionError(f"float32 nodes: the graph has no node '{min(unknown)}'")


def _refuse_operators(graph: ir.Graph) -> None:
    for node in graph:
        if node.op_type == "BatchNormalization":
            raise OptionError(
                f"'{node.name}' is a BatchNormalization that no convolution took in, and loses "
                "bits in float16; expected a model without one, or --precision without fp16"
            )
        if any(value.dtype in _SIXTEEN_BITS for value in node.outputs):
            raise OptionError(f"'{node.name}' computes in 16 bits already; expected float32")


def _refuse_weights(node: ir.Node) -> None:
    reason = _unfit_weights(node)
    if reason:
        raise OptionError(f"float16 cannot hold '{node.name}': {reason}; keep the node in float32")


def _unfit_weights(node: ir.Node) -> str:
    """Return why float16 cannot hold the node's weights, or an empty string."""
    for index, value in enumerate(node.inputs):
        if value is None or not value.is_initializer() or value.dtype != ir.DataType.FLOAT:
            continue
        assert value.const_value is not None
        weights = value.const_value.numpy()
        peak = float(np.abs(weights).max(initial=0.0))
        if not peak <= float(np.finfo(np.float16).max):
            return f"weights reach {peak:.2g}"
        lost = float(np.linalg.norm(weights - weights.astype(np.float16).astype(np.float32)))
        # A bias that is too small to be held is too small to be seen beside what it is added to.
        if index != _BIAS and lost > LOST_SHARE * float(np.linalg.norm(weights)):
            return f"weights reach only {peak:.2g}"
    return ""
