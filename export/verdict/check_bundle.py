"""Judges whether a bundle is what was published, and computes what PyTorch computed."""

from __future__ import annotations

from collections.abc import Sequence

from export.verdict.finding import Finding
from export.verdict.gates import FAIL, PASS
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.verification.check import Check
from runtime.verification.verify import verify

__all__ = ["check_bundle"]

_INTEGRITY = "files, inputs, outputs and labels are as published"
_GOLDEN = "recorded inputs are answered as PyTorch answered them"


def check_bundle(bundle: Bundle) -> tuple[Finding, ...]:
    """Return what became of the bundle's files and contracts, and of each variant's golden vectors.

    Raises:
        BundleError: if the bundle has no golden vectors.
        BackendError: if ONNX Runtime cannot run a variant.
    """
    if not bundle.manifest.golden:
        raise BundleError(
            f"'{bundle.folder}' has no golden vectors, so nothing proves what it computes; export "
            "the model again"
        )
    folders = tuple(case.folder for case in bundle.manifest.golden)
    checks = verify(bundle).checks
    golden = [check for check in checks if check.name.endswith(folders)]
    files = [check for check in checks if check not in golden]
    variants = {
        name: [check for check in golden if check.name.startswith(f"{name} ")]
        for name in bundle.manifest.variants
    }
    return (
        _finding("integrity", "bundle", files, _INTEGRITY),
        *(_finding("golden", name, found, _GOLDEN) for name, found in variants.items()),
    )


def _finding(area: str, subject: str, checks: Sequence[Check], kept_promise: str) -> Finding:
    kept = sum(check.passed for check in checks)
    broken = next((check for check in checks if not check.passed), None)
    remark = (
        f"{broken.name}: {broken.given}; expected {broken.expected}" if broken else kept_promise
    )
    if not checks:
        remark = "not run, because the file is not what was published"
    return Finding(
        area=area,
        subject=subject,
        measured=f"{kept} of {len(checks)}",
        gate="all",
        status=PASS if checks and broken is None else FAIL,
        value=float(kept),
        unit="checks",
        remark=remark,
    )
