"""Judges whether float16 holds what a variant computes of the images it is judged by.

No answer on a CPU tells: ONNX Runtime has few float16 operators there, computes in float32 between
them, and leaves out the casts that would end in infinity. A GPU does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np
import onnx_ir as ir

from export.halve import unsafe_nodes
from export.verdict.gates import FAIL
from runtime.judgement import Judgement
from runtime.runner import Images

__all__ = ["judge_range"]

_ENDS_AT = float(np.finfo(np.float16).max)


def judge_range(
    judgement: Judgement, graph: ir.Model, batches: Iterable[Images], kept: Collection[str]
) -> Judgement:
    """Return the judgement; one that fails if a value leaves float16 on the images.

    Args:
        judgement: of the answers.
        graph: float32, of normalised images.
        batches: the images, normalised.
        kept: nodes that compute in float32.

    Raises:
        BackendError: if the graph cannot run on the images.
    """
    unsafe = unsafe_nodes(graph, batches, _ENDS_AT)
    left = [node for node in unsafe if node not in kept]
    if not left:
        return judgement
    more = f", {len(left) - 1} more nodes, too" if len(left) > 1 else ""
    remark = f"'{left[0]}': {unsafe[left[0]]} on these images; float16 ends at {_ENDS_AT:.0f}{more}"
    return dataclasses.replace(judgement, status=FAIL, remarks=(remark, *judgement.remarks))
