"""Judges how much of each variant's work is in the precision it is named for, and how near it is.

Both were found at the export and stand in the manifest, which the golden vectors vouch for.
"""

from __future__ import annotations

from collections.abc import Iterator

from export.variants.tally import LEAST_SQNR_DB
from export.verdict.finding import Finding
from export.verdict.gates import FAIL, PASS, WARN
from export.verdict.read_gates import PrecisionGate
from runtime.judgement import Judgement
from runtime.manifest import Manifest
from runtime.variant import Variant

__all__ = ["check_precision"]


def check_precision(manifest: Manifest, gate: PrecisionGate) -> tuple[Finding, ...]:
    """Return the findings on every variant of a lower precision."""
    findings: list[Finding] = []
    for name, variant in manifest.variants.items():
        if variant.precision != "float32":
            findings += _share(name, variant, gate)
            if variant.judgement is not None:
                findings.append(_nearness(name, variant.precision, variant.judgement))
    return tuple(findings)


def _share(name: str, variant: Variant, gate: PrecisionGate) -> Iterator[Finding]:
    work = variant.work_shares
    found = work.get(variant.precision, 0.0) if work else None
    status = FAIL if not found else WARN if found < gate.least_share else PASS
    kept = f"; {len(variant.kept_float)} nodes stay in float" if variant.kept_float else ""
    yield Finding(
        area="precision",
        subject=name,
        measured="not counted" if found is None else f"{100 * found:.1f} %",
        gate=f"at least {100 * gate.least_share:g} %",
        status=status,
        value=None if found is None else 100 * found,
        unit="%",
        remark=f"of the work is {variant.precision}{kept}"
        if found is not None
        else "export the model again: nobody counted its work",
    )


def _nearness(name: str, precision: str, judgement: Judgement) -> Finding:
    agreement, least = judgement.agreement, LEAST_SQNR_DB[precision]
    # Accuracy and agreement are judged on the images at hand; the export judged them on its own.
    near = judgement.sqnr_db >= least and judgement.status != FAIL
    return Finding(
        area="parity",
        subject=name,
        measured=f"{judgement.sqnr_db:.1f} dB",
        gate=f"at least {least:g} dB",
        status=PASS if near else FAIL,
        value=judgement.sqnr_db,
        unit="dB",
        remark=f"at the export; same class as PyTorch: {agreement.count} of {agreement.of} images",
    )
