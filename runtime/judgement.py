"""Judgement: how a variant did on real images that nothing was fitted to; the manifest holds it."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.share import Share

__all__ = ["Judgement", "Paired"]


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The best class of reference and variant against the true one, image by image."""

    images: int
    """Whose class is known."""
    reference_right: int
    variant_right: int
    became_wrong: int
    """Right by the reference, wrong by the variant."""
    became_right: int
    drop_points: float
    """What the variant loses, in points of a hundred."""
    drop_low: float
    drop_high: float
    """Ends of the 95 % interval of the drop."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A variant against PyTorch in float64."""

    source: str
    """Where the images come from, for a person."""
    sqnr_db: float
    """10 log10(sum(reference^2) / sum(error^2)) over all logits, in decibel."""
    agreement: Share
    """Images with the same best class, of all."""
    top1: Paired | None
    """None where no classes are known."""
    status: str
    """Of the worst of its gates: "pass", "warn", "not shown" or "fail"."""
    remarks: tuple[str, ...]
    """What the gates say, a sentence each."""
