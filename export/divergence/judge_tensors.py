"""Judges tensors: how far each is from PyTorch, and which is the first that leaves it.

In float32 that is the first of which a channel is off by more than NOISE_MULTIPLE times what
float32 PyTorch is. A lower precision leaves PyTorch everywhere a little, but not suddenly and all
channels alike; there it is the first tensor whose SQNR is SUDDEN_DB below that of the tensors it is
computed from, or of which one channel is off STANDS_OUT times as much as others. What is computed
from the images falls from BEST_DB, which is as good as the precision can be.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from export.divergence.divergence import Tensor
from export.divergence.measure_depth import CLOSEST_DB, Depth
from export.divergence.places import nearest_before

__all__ = ["NOISE_MULTIPLE", "first_to_leave", "judge_tensors"]

# Faultless graphs of the catalogue and of trained ResNets reach 0.8 to 5; one weight of thousands
# that is off by half reaches 8,000 and more, a bias that is off by 0.1 % some 400.
NOISE_MULTIPLE = 8.0

# Sound int8 and float16 graphs: falls of 9 dB at most, one channel 1.1 to 4.2 times the others. An
# int8 weight that is off by its whole range: 6 to 7 times; a channel of wrong sign: 15 dB and more.
SUDDEN_DB = 15.0
STANDS_OUT = 5.0

BEST_DB = {"float32": CLOSEST_DB, "float16": 71.0, "int8": 50.0}
"""The SQNR, in decibel, of a tensor that was rounded once: 2^-11 relative, and 8 bits full scale.
A better one counts as no better, when it is asked how far the next one falls."""


def judge_tensors(
    depths: Sequence[Depth], original: ir.Model, precision: str
) -> tuple[Tensor, ...]:
    """Return the tensors that were measured, each beside those it is computed from.

    Args:
        depths: what was measured, in the order it is computed.
        original: the float32 graph, which tells what is computed from what.
        precision: of the variant: "float32", "float16" or "int8".
    """
    best = BEST_DB[precision]
    sqnr = {depth.place.tensor: depth.sqnr_db for depth in depths}
    before = nearest_before(original, sqnr.keys())
    return tuple(
        Tensor(
            module=depth.place.module,
            border=depth.place.border,
            sqnr_db=depth.sqnr_db,
            float32_sqnr_db=depth.float32_sqnr_db,
            noise_ratio=depth.noise_ratio,
            worst_channel=depth.worst_channel,
            standing_out=depth.standing_out,
            fall_db=min([best, *(sqnr[name] for name in before[depth.place.tensor])])
            - depth.sqnr_db,
            scaled=depth.scaled,
        )
        for depth in depths
    )


def first_to_leave(tensors: Sequence[Tensor], precision: str) -> str:
    """Return the module where it leaves PyTorch; "" where it does not."""
    leaves = _leaves_float32 if precision == "float32" else _leaves_suddenly
    return next((tensor.module for tensor in tensors if leaves(tensor)), "")


def _leaves_float32(tensor: Tensor) -> bool:
    return tensor.noise_ratio > NOISE_MULTIPLE


def _leaves_suddenly(tensor: Tensor) -> bool:
    return tensor.fall_db > SUDDEN_DB or tensor.standing_out > STANDS_OUT
