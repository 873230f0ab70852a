"""Refuses nodes to keep in float that a graph does not have, before anything slow is done."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from export.quantization.placement import QUANTIZABLE
from export.variants.order import PrecisionOrder
from runtime.errors import OptionError

__all__ = ["check_kept"]


def check_kept(order: PrecisionOrder, graph: ir.Model) -> None:
    """Return if the graph has every node that is to stay in float, and it makes a difference.

    Raises:
        OptionError: naming one that it does not have, and the nearest that it has; or one that
            could not be quantized.
    """
    kinds = {str(node.name): node.op_type for node in graph.graph}
    for name in () if order.searches else order.keep_float:
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1)
            hint = (
                f"did you mean '{near[0]}'?" if near else f"it has '{next(iter(kinds))}' and others"
            )
            raise OptionError(f"--keep-float: the graph has no node '{name}'; {hint}")
        if kinds[name] not in QUANTIZABLE:
            raise OptionError(
                f"--keep-float: '{name}' is a {kinds[name]}, which runs as the node before it "
                f"does; expected the name of one of {', '.join(sorted(QUANTIZABLE))}"
            )
