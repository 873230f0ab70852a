"""What a graph computes in which precision, counted in multiply-accumulates of one image.

Work counts every layer that has any. PrecisionPromise counts convolutions, all but a thousandth of
a ResNet's work: it is what TensorRT's inspector can be asked about an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import VerdictError

__all__ = ["LayerWork", "PrecisionPromise", "Work", "judge_precision", "shares"]

_SLACK = 0.01
"""Share of the work that may run otherwise than the graph says: TensorRT may keep a convolution of
few channels in a wider type where that is faster."""


@dataclass(frozen=True, kw_only=True)
class PrecisionPromise:
    """The multiply-accumulates of a graph's convolutions for one image of a size."""

    height: int
    width: int
    macs: dict[str, int]
    """By precision: "float32", "float16", "int8"."""


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """The multiply-accumulates of a layer."""

    precision: str
    """"float32", "float16" or "int8"."""
    macs: int
    share: float
    """Of all, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The multiply-accumulates of a graph's convolutions and matrix products for one image."""

    height: int
    width: int
    shares: dict[str, float]
    """By precision, 0 to 1."""
    layers: dict[str, LayerWork]
    """By the name of the node, in the graph's order."""


def shares(macs: Mapping[str, int]) -> dict[str, float]:
    """Return what part of all multiply-accumulates each precision has, 0 to 1."""
    total = sum(macs.values())
    return {precision: count / total for precision, count in macs.items() if total}


def judge_precision(promise: PrecisionPromise, found: Mapping[str, int]) -> str:
    """Return what remains unproven of a promise, in a sentence; "" if nothing does.

    Args:
        promise: what the graph says.
        found: the multiply-accumulates of the engine's convolutions for one image of the same
            size, by precision, as far as they can be seen.

    Raises:
        VerdictError: if the engine certainly runs less in a reduced precision than the graph says.
    """
    total = sum(promise.macs.values())
    hidden = max(total - sum(found.values()), 0)
    unproven = []
    for precision, macs in promise.macs.items():
        missing = macs - found.get(precision, 0)
        if precision == "float32" or missing <= _SLACK * total:
            continue
        if missing - hidden > _SLACK * total:
            raise VerdictError(
                f"the engine runs {found.get(precision, 0) / total:.1%} of the convolutions' work "
                f"in {precision}; the graph promises {macs / total:.1%}"
            )
        unproven.append(f"{missing / total:.1%} in {precision}")
    if not unproven:
        return ""
    return f"TensorRT's inspector does not show where the promised {' and '.join(unproven)} run"
