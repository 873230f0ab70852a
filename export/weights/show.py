"""Shows what a weights file holds and what does not fit: tables for people, JSON for machines."""

from __future__ import annotations

import dataclasses
from typing import Any

from export.weights.diagnose import Diagnosis
from export.weights.inspect_checkpoint import Inspection, NormFinding
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["misfit_table", "show_inspection"]


def show_inspection(inspection: Inspection, screen: Screen) -> None:
    """Show what the file is of, then what is wrong with it, if anything is."""
    screen.document(_document(inspection))
    screen.result(text_table(("", inspection.file), _facts(inspection)))
    if inspection.findings:
        screen.result("")
        screen.result(_norm_table(inspection))
    if inspection.diagnosis and inspection.diagnosis.misfits:
        screen.result("")
        screen.result(misfit_table(inspection.diagnosis))


def misfit_table(diagnosis: Diagnosis) -> str:
    """Return what does not fit, a row a stage."""
    header = ("stage", "missing", "unexpected", "other shape", "such as")
    rows = []
    for stage, kinds in diagnosis.by_stage().items():
        counts = [str(len(kinds.get(k, ()))) for k in ("missing", "unexpected", "mismatched")]
        first = next(iter(kinds.values()))[0]
        rows.append((stage, *counts, first.problem))
    return text_table(header, rows)


def _document(inspection: Inspection) -> dict[str, Any]:
    document = dataclasses.asdict(inspection)
    diagnosis = inspection.diagnosis
    document["diagnosis"] = diagnosis and {
        stage: {kind: [misfit.key for misfit in misfits] for kind, misfits in kinds.items()}
        for stage, kinds in diagnosis.by_stage().items()
    }
    return document


def _facts(inspection: Inspection) -> list[tuple[str, str]]:
    whole = " (nearest)" if inspection.diagnosis and inspection.diagnosis.misfits else ""
    adapter = ", an adapter before the stem" if inspection.adapter else ""
    return [
        ("layout", inspection.layout or "unknown"),
        ("model", f"{inspection.model}{whole}" if inspection.model else "not to be told"),
        ("classes", str(inspection.classes or "unknown")),
        ("channels", f"{inspection.channels or 'unknown'}{adapter}"),
        ("parameters", f"{inspection.parameters:,} in {inspection.tensors} tensors"),
        ("type", ", ".join(inspection.dtypes) or "none"),
        ("place", inspection.place or "the document itself"),
        ("average (EMA)", _average(inspection)),
        ("metadata", "labels and preprocessing" if inspection.metadata else "none"),
        ("norms", f"{inspection.norms}, {len(inspection.findings)} look untrained or broken"),
    ]


def _average(inspection: Inspection) -> str:
    if inspection.averaged:
        return "these weights are one"
    return f"also present: '{inspection.left}'" if inspection.left else "none"


def _norm_table(inspection: Inspection) -> str:
    groups: dict[str, list[NormFinding]] = {}
    for finding in inspection.findings:
        groups.setdefault(finding.finding, []).append(finding)
    rows = [
        (name, str(len(group)), str(sum(each.channels for each in group)), group[0].norm)
        for name, group in groups.items()
    ]
    return text_table(("finding", "norms", "channels", "the first"), rows)
