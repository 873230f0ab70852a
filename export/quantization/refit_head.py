"""Refits the head of a quantized graph, which is float, to the features that it really gets.

The head W, b becomes W + D, b + d, as `calibration.fit_errors` finds D and d.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.fit_errors import Features, fit_errors
from calibration.probe import Probe
from runtime.errors import OptionError
from runtime.runner import Images, Logits

__all__ = ["features_as_written", "features_in_integers", "refit_head"]


def features_as_written(graph: ir.Model, batches: Iterable[Images]) -> Features:
    """Return what the last matrix product of a graph reads, computed pair by pair in floats.

    Args:
        graph: with a float head.
        batches: images of the kind that the graph takes.

    Raises:
        OptionError: if the graph has no head with weights of its own in float.
        BackendError: if the graph cannot run on the images.
    """
    return _features(graph, batches, as_written=True)


def features_in_integers(graph: ir.Model, batches: Iterable[Images]) -> Features:
    """Return the same as ONNX Runtime computes it on this CPU: with VNNI in a quarter of the time.

    Args:
        graph: quantized for ONNX Runtime, with a float head.
        batches: images of the kind that the graph takes; whole ones, where it fixes their size.

    Raises:
        OptionError: if the graph has no head with weights of its own in float.
        BackendError: if the graph cannot run on the images.
    """
    return _features(graph, batches, as_written=False)


def refit_head(quantized: ir.Model, expected: Logits, features: Features) -> ir.Model:
    """Return a copy of a quantized graph with its head refitted.

    Args:
        quantized: its head is float; it is left as it is.
        expected: logits of the float32 graph, [images, classes].
        features: what the head of the quantized graph reads of the same images.

    Raises:
        OptionError: if the graph has no head with weights of its own in float.
    """
    result = quantized.clone()
    node = _head(result)
    _, weight, bias = _inputs(node)
    transposed = node.attributes.get_int("transB", 0)
    weights = _content(weight) if transposed else _content(weight).T
    found = features.astype(np.float64) @ weights.T + _content(bias)
    fit = fit_errors(expected - found, features)
    fitted = weights + fit.change if transposed else (weights + fit.change).T
    _store(result.graph, node, 1, weight, fitted)
    _store(result.graph, node, 2, bias, _content(bias) + fit.shift)
    return result


def _features(graph: ir.Model, batches: Iterable[Images], *, as_written: bool) -> Features:
    name = str(_inputs(_head(graph))[0].name)
    probe = Probe(graph, [name], as_written=as_written)
    return np.concatenate([probe.run(images)[name] for images in batches])


def _head(graph: ir.Model) -> ir.Node:
    products = [node for node in graph.graph if node.op_type == "Gemm"]
    if not products or len(products[-1].inputs) != 3:
        raise OptionError("head: the graph ends in no matrix product with a bias; nothing to refit")
    _, weight, bias = _inputs(products[-1])
    if not weight.is_initializer() or not bias.is_initializer():
        raise OptionError(f"head: '{products[-1].name}' is quantized; expected one left in float")
    return products[-1]


def _inputs(node: ir.Node) -> tuple[ir.Value, ir.Value, ir.Value]:
    features, weight, bias = node.inputs
    assert features is not None
    assert weight is not None
    assert bias is not None
    return features, weight, bias


def _content(value: ir.Value) -> NDArray[np.float64]:
    assert value.const_value is not None  # it is an initializer
    return value.const_value.numpy().astype(np.float64)


def _store(
    graph: ir.Graph, node: ir.Node, index: int, old: ir.Value, content: NDArray[np.float64]
) -> None:
    assert old.const_value is not None
    dtype = old.const_value.numpy().dtype
    tensor = ir.tensor(np.ascontiguousarray(content, dtype), name=f"{old.name}.refitted")
    made = ir.val(tensor.name, tensor.dtype, list(content.shape), const_value=tensor)
    graph.register_initializer(made)
    node.replace_input_with(index, made)
    if not old.uses() and str(old.name) in graph.initializers:
        del graph.initializers[str(old.name)]
