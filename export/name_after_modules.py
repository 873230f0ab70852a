"""Names the nodes of a traced graph after the modules they came from: `layer3.0.conv2`.

So whatever is said about the graph later is said in the model's own names.
"""

from __future__ import annotations

import ast
import itertools

import onnx_ir as ir

__all__ = ["name_after_modules"]


def name_after_modules(graph: ir.Graph) -> None:
    """Give each node, and the value it makes, the name of its module, in place.

    Args:
        graph: as torch.onnx.export made it, with its metadata.
    """
    taken = {value.name for value in (*graph.inputs, *graph.outputs, *graph.initializers.values())}
    # Floats first: the integers that only compute shapes must not take a layer's name.
    for node in sorted(graph, key=lambda node: node.outputs[0].dtype != ir.DataType.FLOAT):
        stem = _module_name(node)
        copies = itertools.count(1)
        name = stem
        while name in taken:
            name = f"{stem}_{next(copies)}"
        taken.add(name)
        node.name = name
        for index, value in enumerate(node.outputs):
            if not value.is_graph_output():
                value.name = name if index == 0 else f"{name}:{index}"


def _module_name(node: ir.Node) -> str:
    """Return `layer1.0.conv1` for a layer's node, `layer1.0.add` for an operation in a block."""
    operator = node.op_type.lower()
    try:
        scopes = ast.literal_eval(node.metadata_props["pkg.torch.onnx.name_scopes"])
        kinds = ast.literal_eval(node.metadata_props["pkg.torch.onnx.class_hierarchy"])
        module, kind = scopes[-2], kinds[-2]
    except (KeyError, IndexError, ValueError, SyntaxError):
        return operator
    is_layer = kind.startswith("torch.nn.modules.") and ".container." not in kind
    return module if is_layer and module else f"{module}.{operator}".lstrip(".")
