"""What the manifests of two releases say otherwise of a variant that both have."""

from __future__ import annotations

from collections.abc import Iterator

from export.release.difference import Difference
from export.verdict.gates import FAIL, PASS, TOLD, WARN
from export.verdict.read_gates import ReleaseGate
from runtime.manifest import Manifest

__all__ = ["diff_files", "diff_judgements", "diff_precision", "diff_sizes"]

_CLEARLY = 0.005
"""Change of a share of the work that is worth a line."""


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


def diff_precision(before: Manifest, after: Manifest) -> Iterator[Difference]:
    """Yield what runs in another precision than it did, as shares of the work."""
    for name, variant in after.variants.items():
        old = before.variants[name].work_shares if name in before.variants else {}
        new = variant.work_shares
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


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"
