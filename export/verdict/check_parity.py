"""Judges the parity files that the export left in the bundle."""

from __future__ import annotations

from export.parity.report import PARITY_FILE, ParityReport
from export.verdict.finding import Finding
from export.verdict.gates import FAIL, PASS
from runtime.bundle import Bundle
from runtime.schema import from_json

__all__ = ["check_parity", "read_parity"]


def read_parity(bundle: Bundle) -> ParityReport | None:
    """Return how fp32 did over the grid of shapes; None where the bundle does not say it.

    Raises:
        BundleError: if the file was altered or is of another version.
    """
    if PARITY_FILE not in bundle.manifest.files:
        return None
    return from_json(ParityReport, bundle.read(PARITY_FILE), PARITY_FILE)


def check_parity(report: ParityReport | None) -> tuple[Finding, ...]:
    """Return whether fp32 computes what PyTorch computes, and gives the same classes."""
    if report is None:
        return (
            Finding(
                area="parity",
                subject="fp32",
                measured="no parity file",
                gate="one",
                status=FAIL,
                remark="export the model again: a bundle for a device leaves it out",
            ),
        )
    worst = report.worst
    cases = f"{len(report.cases)} cases"
    agreement = min(case.top1_agreement for case in report.cases)
    return (
        Finding(
            area="parity",
            subject="fp32",
            measured="no finite answer" if worst.ratio is None else f"{worst.ratio:.2f} x noise",
            gate=f"at most {report.noise_multiple:g}",
            status=PASS if report.passed else FAIL,
            value=worst.ratio,
            unit="float32 noise",
            remark=f"{cases}, worst {'x'.join(map(str, worst.shape))}, {worst.content}",
        ),
        Finding(
            area="best class",
            subject="fp32",
            measured=f"{100 * agreement:.1f} %",
            gate="100 %",
            status=PASS if agreement == 1 else FAIL,
            value=100 * agreement,
            unit="%",
            remark=f"same class as PyTorch in the worst of {cases}",
        ),
    )
