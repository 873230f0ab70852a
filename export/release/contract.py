"""What the manifests of two releases say otherwise to callers, and of the tools."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from export.release.difference import Difference
from export.verdict.gates import FAIL, TOLD, WARN
from runtime.manifest import Manifest
from runtime.variant import Variant

__all__ = [
    "diff_labels",
    "diff_model",
    "diff_preprocessing",
    "diff_tools",
    "diff_variants",
]

_NONE = "-"


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
