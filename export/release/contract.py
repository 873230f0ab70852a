"""What the manifests of two releases say otherwise: to callers, of the variants, of the tools."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from export.release.difference import Difference
from export.verdict.gates import FAIL, PASS, TOLD, WARN
from export.verdict.read_gates import ReleaseGate
from runtime.manifest import Manifest, Variant
from runtime.precision import shares

__all__ = [
    "diff_files",
    "diff_judgements",
    "diff_labels",
    "diff_model",
    "diff_precision",
    "diff_preprocessing",
    "diff_sizes",
    "diff_tools",
    "diff_variants",
]

_NONE = "-"
_CLEARLY = 0.005
"""Change of a share of the work that is worth a line."""


def diff_model(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what changed of the model itself."""
    for name in ("name", "classes", "parameters", "macs"):
        old, new = getattr(before.model, name), getattr(after.model, name)
        if old != new:
            yield Difference(
                area="model", subject=name, before=_number(old), after=_number(new), status=WARN
            )
    old_origin, new_origin = (f"{m.weights.origin}, {m.weights.detail}" for m in (before, after))
    if old_origin != new_origin:
        yield Difference(
            area="model", subject="weights from", before=old_origin, after=new_origin, status=TOLD
        )


def diff_preprocessing(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what changed of how an image becomes the model's input: callers must follow it."""
    old, new = dataclasses.asdict(before.image), dataclasses.asdict(after.image)
    old["pixels"], new["pixels"] = before.pixels or "normalised", after.pixels or "normalised"
    for name in old:
        if old[name] != new[name]:
            yield Difference(
                area="preprocessing",
                subject=name,
                before=_say(old[name]),
                after=_say(new[name]),
                status=WARN,
                remark="whoever prepares images must do it in the new way",
            )


def diff_labels(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what changed of the classes: whoever keeps indices must follow it."""
    old, new = before.labels, after.labels
    if old == new:
        return
    gone = [label for label in old if label not in set(new)]
    come = [label for label in new if label not in set(old)]
    if not gone and not come:
        moved = [i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b]
        yield _labels(f"{len(moved)} of them moved", old[moved[0]], new[moved[0]])
        return
    yield _labels("gone and new", ", ".join(gone) or _NONE, ", ".join(come) or _NONE)


def _labels(subject: str, before: str, after: str) -> Difference:
    return Difference(
        area="labels",
        subject=subject,
        before=before,
        after=after,
        status=WARN,
        remark="an index no longer means the class it meant",
    )


def diff_variants(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield variants and engines that came and went, and what callers must give and get."""
    for kind, old, new in (
        ("variant", before.variants, after.variants),
        ("engine", before.engines, after.engines),
    ):
        for name in (n for n in old if n not in new):
            yield Difference(
                area="variants",
                subject=name,
                before=kind,
                after="none",
                status=FAIL,
                gate="stays",
            )
        for name in (n for n in new if n not in old):
            yield Difference(area="variants", subject=name, before="none", after=kind, status=TOLD)
    for name, variant in after.variants.items():
        if name in before.variants:
            yield from _diff_variant(name, before.variants[name], variant)


def diff_judgements(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield how near the variants came to PyTorch on the images they were exported with."""
    for name, variant in after.variants.items():
        old = before.variants[name].judgement if name in before.variants else None
        new = variant.judgement
        if old is None or new is None or old == new:
            continue
        yield Difference(
            area="judgement",
            subject=name,
            before=f"{old.agreement.value:.2%}, {old.sqnr_db:.1f} dB",
            after=f"{new.agreement.value:.2%}, {new.sqnr_db:.1f} dB",
            status=new.status,
            gate="export's",
            remark="share of the same best class as PyTorch's, and signal to noise of the answer, "
            f"on {old.source} and {new.source}",
            change=100 * (new.agreement.value - old.agreement.value),
            unit="points",
        )


def diff_files(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield the variants whose model is another file than it was."""
    for name, variant in after.variants.items():
        if name in before.variants:
            old = before.files[before.variants[name].file].sha256
            new = after.files[variant.file].sha256
            if old != new:
                yield Difference(
                    area="files", subject=name, before=old[:12], after=new[:12], status=TOLD
                )


def _diff_variant(name: str, before: Variant, after: Variant) -> Iterator[Difference]:
    for what, status in (
        ("input", WARN),
        ("outputs", WARN),
        ("opset", TOLD),
        ("precision", WARN),
        ("placement", TOLD),
    ):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            yield Difference(
                area="variants",
                subject=f"{name}, {what}",
                before=_say(old),
                after=_say(new),
                status=status,
            )


def diff_precision(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what runs in another precision than it did, as shares of the work."""
    for name, variant in after.variants.items():
        old = _shares(before.variants[name]) if name in before.variants else {}
        new = _shares(variant)
        if not old or not new:
            continue
        own = variant.precision
        change = new.get(own, 0.0) - old.get(own, 0.0)
        if abs(change) > _CLEARLY:
            yield Difference(
                area="precision",
                subject=name,
                before=f"{old.get(own, 0):.1%} {own}",
                after=f"{new.get(own, 0):.1%} {own}",
                status=TOLD if change > 0 else WARN,
                change=100 * change,
                unit="points",
            )


def _shares(variant: Variant) -> Mapping[str, float]:
    if variant.work is not None:
        return variant.work.shares
    return shares(variant.convolutions.macs) if variant.convolutions else {}


def diff_sizes(before: Manifest, after: Manifest, gate: ReleaseGate) -> Iterator[Difference]:
    """Yield how much larger or smaller the variants' files are."""
    for name, variant in after.variants.items():
        if name not in before.variants:
            continue
        old = before.files[before.variants[name].file].size
        new = after.files[variant.file].size
        growth = new / max(old, 1)
        if old != new:
            yield Difference(
                area="size",
                subject=name,
                before=_mebibytes(old),
                after=_mebibytes(new),
                status=PASS if growth <= gate.largest_growth else FAIL,
                gate=f"x {gate.largest_growth:g}",
                change=growth,
                unit="times",
            )


def diff_tools(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what made the bundle, where it is another version."""
    for name in sorted({*before.tools, *after.tools}):
        old, new = before.tools.get(name, "none"), after.tools.get(name, "none")
        if old != new:
            yield Difference(area="tools", subject=name, before=old, after=new, status=TOLD)


def _say(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_say(each) for each in value)
    return _number(value) or "none"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"
