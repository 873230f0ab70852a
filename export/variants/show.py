"""Shows the variants of a bundle: how large, how much of them in their precision, how they did."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.judgement import Judgement, Paired
from runtime.manifest import Manifest
from runtime.share import Share
from runtime.table import text_table

__all__ = ["variant_lines", "variant_table"]

_HEADER = ("variant", "MiB", "share", "SQNR dB", "agreement %", "top-1 drop", "gate")


def variant_table(manifest: Manifest) -> str:
    """Return a line for each variant.

    The share is that of the work, as multiply-accumulates, which runs in the variant's own
    precision. Behind agreement and drop stand the ends of their 95 % intervals.
    """
    rows = []
    for name, variant in manifest.variants.items():
        size = manifest.files[variant.file].size / 2**20
        share = variant.work_shares.get(variant.precision, 0.0)
        judged = _judged(variant.judgement) if variant.judgement else ("-", "-", "-", "parity")
        rows.append((name, f"{size:.2f}", f"{share:.1%}", *judged))
    return text_table(_HEADER, rows)


def variant_lines(manifest: Manifest) -> Sequence[str]:
    """Return what is to be said below the table."""
    lines = []
    for name, variant in manifest.variants.items():
        if variant.judgement is not None:
            lines += [f"{name}: {remark}" for remark in variant.judgement.remarks]
        if variant.placement.startswith("onnxruntime"):
            exact = (
                "anywhere" if variant.placement.endswith("VNNI") else "on x86 with VNNI, and ARM"
            )
            lines.append(f"{name}: laid out for ONNX Runtime; exact {exact}")
    judged = {_source(v.judgement): None for v in manifest.variants.values() if v.judgement}
    return [*judged, *lines]


def _source(judgement: Judgement) -> str:
    """Return what it was judged on, and how right float32 itself is there."""
    top1 = judgement.top1
    if top1 is None or not top1.images:
        return f"judged on {judgement.source}"
    right = top1.reference_right / top1.images
    return f"judged on {judgement.source}; float32 is right on {right:.1%}"


def _judged(judgement: Judgement) -> tuple[str, str, str, str]:
    return (
        f"{judgement.sqnr_db:.1f}",
        _agreement(judgement.agreement),
        _drop(judgement.top1) if judgement.top1 else "-",
        judgement.status,
    )


def _agreement(share: Share) -> str:
    return f"{100 * share.value:.3g} {100 * share.low:.3g}..{100 * share.high:.3g}"


def _drop(top1: Paired) -> str:
    return f"{top1.drop_points:.2f} {top1.drop_low:.2f}..{top1.drop_high:.2f}"
