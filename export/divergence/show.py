"""Shows where a variant leaves PyTorch: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses

from export.divergence.divergence import Divergence, Tensor
from export.divergence.judge_tensors import NOISE_MULTIPLE
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_divergence", "summarize"]

_NOT_AS_WRITTEN_DB = 3.0
"""Half the noise more than the graph has: more than another order of sums explains."""


def show_divergence(divergence: Divergence, screen: Screen) -> None:
    """Show every tensor that was looked at, and what a person has to know of the comparison."""
    screen.document({**dataclasses.asdict(divergence), "summary": summarize(divergence)})
    for skipped in divergence.skipped:
        screen.warn(f"skipped {skipped}")
    if not divergence.same_weights:
        screen.warn(
            "the module's weights are not those the bundle was exported from: their SHA-256 "
            "differs from the manifest's; give the ones of the export: --weights"
        )
    if divergence.answer_as_run_db < divergence.answer_db - _NOT_AS_WRITTEN_DB:
        screen.warn(
            f"on this CPU ONNX Runtime does not compute the graph as it is written: its answer has "
            f"{divergence.answer_as_run_db:.1f} dB instead of {divergence.answer_db:.1f}; without "
            "VNNI, sums of int8 products saturate"
        )
    if divergence.not_compared:
        names = ", ".join(divergence.not_compared[:5])
        screen.note(f"not compared, for the module computes something else there: {names}")
    if any(tensor.scaled for tensor in divergence.tensors):
        screen.note("equalized channels: the factor of each was taken out before comparing")
    screen.result(_table(divergence))
    if not divergence.left:  # else it is the verdict, told as an error
        screen.result(f"\n{summarize(divergence)}")


def summarize(divergence: Divergence) -> str:
    """Return the finding in one sentence."""
    name, worst = divergence.variant, divergence[divergence.worst]
    weights = divergence.weights
    if divergence.first:
        return f"{name} leaves PyTorch at {divergence.first}: {_why(divergence)}"
    if weights is not None and not weights.passed:
        return (
            f"{name} leaves PyTorch at {weights.worst_layer}: its weights are off by "
            f"{weights.largest_gap:.1e} of their size, though no tensor shows it on these images"
        )
    if divergence.precision == "float32":
        highest = max(divergence.tensors, key=lambda tensor: tensor.noise_ratio)
        return (
            f"{name} stays with PyTorch: off by at most {highest.noise_ratio:.1f} times float32's "
            f"own rounding (allowed {NOISE_MULTIPLE:g}), at {highest.module}"
        )
    return (
        f"{name} leaves PyTorch nowhere suddenly: {worst.sqnr_db:.1f} dB at its worst, "
        f"{worst.module}, and {divergence.answer_db:.1f} dB at the answer"
    )


def _why(divergence: Divergence) -> str:
    first = divergence[divergence.first]
    weights = divergence.weights
    if divergence.precision == "float32":
        found = f"channel {first.worst_channel} is off by {first.noise_ratio:,.0f} times float32's "
        found += f"own rounding (allowed {NOISE_MULTIPLE:g})"
        if weights is not None and not weights.passed and weights.worst_layer == first.module:
            found += f"; its weights are off by {weights.largest_gap:.1e} of their size"
        return found
    return (
        f"{first.fall_db:.1f} dB below what it is computed from, channel {first.worst_channel} "
        f"{first.standing_out:.1f} times as far off as the others"
    )


def _table(divergence: Divergence) -> str:
    low = divergence.precision != "float32"
    measure = ("fall dB", "x others") if low else ("float32 dB", "x noise")
    return text_table(
        ("tensor", "SQNR dB", *measure, "channel", ""),
        [_row(tensor, divergence) for tensor in divergence.tensors],
    )


def _row(tensor: Tensor, divergence: Divergence) -> tuple[str, ...]:
    if divergence.precision == "float32":
        measure = (f"{tensor.float32_sqnr_db:.1f}", f"{tensor.noise_ratio:,.1f}")
    else:
        measure = (f"{tensor.fall_db:.1f}", f"{tensor.standing_out:.1f}")
    marks = [
        mark
        for mark in ("first", "worst")
        if tensor.module == {"first": divergence.first, "worst": divergence.worst}[mark]
    ]
    return (
        tensor.module if tensor.border else f"  {tensor.module}",
        f"{tensor.sqnr_db:.1f}",
        *measure,
        str(tensor.worst_channel),
        ", ".join(marks),
    )
