"""Restates two spellings of PyTorch's exporter in the operators the field's tools look for.

    ReduceMean(x, axes={2, 3}, keepdims=1)   becomes  GlobalAveragePool(x)
    Reshape(x [n, c, 1, 1], [-1 or 0, c])    becomes  Flatten(x, axis=1)

The numbers stay the same; but quantizers and ONNX Runtime's QLinearGlobalAveragePool only know the
right-hand sides. Left alone when x is not of rank 4, the axes or the shape are not constants, or
they say anything else.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

__all__ = ["standardize"]


def standardize(graph: ir.Model) -> int:
    """Restate what can be restated, in place; return the number of nodes that changed."""
    changed = 0
    for node in tuple(graph.graph):
        if _is_global_mean(node):
            _restate(node, "GlobalAveragePool", {})
        elif _is_flatten(node):
            _restate(node, "Flatten", {"axis": 1})
        else:
            continue
        changed += 1
    RemoveUnusedNodesPass()(graph)  # the constants that held axes and shape
    return changed


def _is_global_mean(node: ir.Node) -> bool:
    if node.op_type != "ReduceMean" or len(node.inputs) != 2 or not node.inputs[0]:
        return False
    rank = len(node.inputs[0].shape or ())
    axes = _constant(node.inputs[1])
    keeps = node.attributes.get_int("keepdims", 1) == 1
    return keeps and rank == 4 and axes is not None and {axis % rank for axis in axes} == {2, 3}


def _is_flatten(node: ir.Node) -> bool:
    if node.op_type != "Reshape" or not node.inputs[0] or node.inputs[0].shape is None:
        return False
    source, target = node.inputs[0].shape, _constant(node.inputs[1])
    if target is None or len(source) != 4 or len(target) != 2:
        return False
    keeps_batch = target[0] in (-1, source[0]) or (
        target[0] == 0 and not node.attributes.get_int("allowzero", 0)
    )
    return (
        keeps_batch
        and list(source[2:]) == [1, 1]
        and target[1] in (-1, source[1])
        and target != [-1, -1]
    )


def _constant(value: ir.Value | None) -> list[int] | None:
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if tensor is None else [int(n) for n in tensor.numpy().ravel()]


def _restate(node: ir.Node, op_type: str, attributes: dict[str, int]) -> None:
    restated = ir.node(op_type, inputs=[node.inputs[0]], attributes=attributes, name=node.name)
    old, new = node.outputs[0], restated.outputs[0]
    new.name, new.shape, new.type = old.name, old.shape, old.type
    assert node.graph is not None  # it was found by walking one
    ir.convenience.replace_nodes_and_values(node.graph, node, [node], [restated], [old], [new])
