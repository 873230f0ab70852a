"""Refuses nodes to keep in float that a graph does not have, before anything slow is done."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from export.variants.order import PrecisionOrder
from runtime.errors import OptionError

__all__ = ["check_kept"]


def check_kept(order: PrecisionOrder, graph: ir.Model) -> None:
    """Return if the graph has every node that is to stay in float.

    Raises:
        OptionError: naming one that it does not have, and the nearest that it has.
    """
    names = [str(node.name) for node in graph.graph]
    unknown = [] if order.searches else [name for name in order.keep_float if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; it has '{names[0]}' and others"
        raise OptionError(f"--keep-float: the graph has no node '{unknown[0]}'{hint}")
