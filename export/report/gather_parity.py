"""Gathers the parity grid: every case of every variant that the export left in the bundle."""

from __future__ import annotations

from collections.abc import Sequence

from export.parity.report import CaseParity
from export.report.content import Missing, ParityCell, ParityRow
from export.variants.parity import VariantParity
from export.variants.tally import LEAST_SQNR_DB
from export.verdict.check_parity import read_parity
from runtime.bundle import Bundle
from runtime.schema import from_json

__all__ = ["parity_rows"]


def parity_rows(bundle: Bundle) -> tuple[tuple[ParityRow, ...] | Missing, tuple[str, ...]]:
    """Return a row for each case, and the variants that have a column.

    Raises:
        BundleError: if a parity file was altered or is of another version.
    """
    columns = _columns(bundle)
    if not columns:
        command = f"python -m export {bundle.manifest.model.name} --onnx"
        return Missing(reason="The bundle has no parity file.", command=command), ()
    cases = {_key(case): case for column, _ in columns.values() for case in column}
    return tuple(
        ParityRow(
            shape="×".join(map(str, case.shape)),  # noqa: RUF001 (by)
            content=case.content,
            cells=tuple(found.get(key) for _, found in columns.values()),
        )
        for key, case in cases.items()
    ), tuple(columns)


_Cases = Sequence[CaseParity]
_Key = tuple[tuple[int, ...], str]


def _key(case: CaseParity) -> _Key:
    return case.shape, case.content


def _columns(bundle: Bundle) -> dict[str, tuple[_Cases, dict[_Key, ParityCell]]]:
    """Return each variant's cases and their cells."""
    columns: dict[str, tuple[_Cases, dict[_Key, ParityCell]]] = {}
    report = read_parity(bundle)
    if report is not None:
        allowed = report.noise_multiple
        cells = {_key(case): _float32(case, allowed) for case in report.cases}
        columns["fp32"] = (report.cases, cells)
    for name, variant in bundle.manifest.variants.items():
        path = f"parity.{name}.json"
        if path in bundle.manifest.files:
            cases = from_json(VariantParity, bundle.read(path), path).cases
            least = LEAST_SQNR_DB[variant.precision]
            columns[name] = (cases, {_key(case): _lower(name, case, least) for case in cases})
    return columns


def _float32(case: CaseParity, allowed: float) -> ParityCell:
    return ParityCell(
        variant="fp32",
        share=1.0 if case.ratio is None else case.ratio / allowed,
        text="no number" if case.ratio is None else f"{case.ratio:.2f} ×",  # noqa: RUF001 (times)
        passed=case.passed,
    )


def _lower(name: str, case: CaseParity, least_db: float) -> ParityCell:
    return ParityCell(
        variant=name,
        # As amplitudes: 20 dB less noise is a tenth of what is allowed.
        share=10 ** ((least_db - case.sqnr_db) / 20),
        text=f"{case.sqnr_db:.1f} dB" if case.finite else "no number",
        passed=case.passed,
    )
