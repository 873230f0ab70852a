"""Shows what export did: tables for people, a document for machines."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.parity.report import CaseParity, ParityReport
from export.variants.show import variant_lines, variant_table
from runtime.building.show import engine_table, engines_document
from runtime.table import text_table
from runtime.terminal import Screen

if TYPE_CHECKING:
    from export.delivery.deliver import Delivery
    from export.delivery.equip import Equipment
    from export.simplify import Simplification
    from export.weights.diagnose import Diagnosis

__all__ = ["show_catalogue", "show_delivery", "show_misfits"]


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """A line of --list."""

    name: str
    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    input: tuple[int, int, int]
    """[channels, height, width]"""
    classes: int
    top1: float | None
    """Published accuracy in percent."""
    source: str
    """Who published it."""


def show_catalogue(screen: Screen) -> None:
    """Show every model of the catalogue, its size and cost counted."""
    from export.models.catalogue import names

    entries = [_entry(name) for name in names()]
    screen.document({"models": [dataclasses.asdict(entry) for entry in entries]})
    header = ("model", "parameters", "GMACs", "input", "top-1 %", "published by")
    screen.result(text_table(header, [_entry_row(entry) for entry in entries]))


def _entry(name: str) -> CatalogueEntry:
    import torch

    from export.models.catalogue import find
    from export.models.count import count_macs, count_parameters

    card = find(name)
    with torch.device("meta"):
        module = card.build(classes=card.classes, channels=card.channels)
    side = card.image.crop
    return CatalogueEntry(
        name=name,
        parameters=count_parameters(module),
        macs=count_macs(module, card.channels, side, side),
        input=(card.channels, side, side),
        classes=card.classes,
        top1=card.top1,
        source=card.source,
    )


def _entry_row(entry: CatalogueEntry) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.parameters:,}",
        f"{entry.macs / 1e9:.3g}",
        "x".join(map(str, entry.input)),
        "-" if entry.top1 is None else f"{entry.top1:.2f}",
        entry.source,
    )


def show_misfits(diagnosis: Diagnosis, screen: Screen) -> None:
    """Show beside the error, stage by stage, what of the weights does not fit."""
    from export.weights.show import misfit_table

    for line in misfit_table(diagnosis).splitlines():
        screen.note(line)


def show_delivery(delivery: Delivery, equipment: Equipment, screen: Screen) -> None:
    """Show the operators, the parity of every case, the engines, and where the bundle lies."""
    bundle, report = equipment.bundle, delivery.check.report
    screen.document(
        {
            "bundle": str(bundle.folder),
            "manifest": dataclasses.asdict(bundle.manifest),
            "parity": {**dataclasses.asdict(report), "passed": report.passed},
            "left_out": list(delivery.check.left_out),
            "operators": {
                "before": dict(delivery.simplification.before),
                "after": dict(delivery.simplification.after),
                "kept_because": delivery.simplification.kept_because,
            },
            "engines": engines_document(equipment.engines),
            "archive": None if equipment.archive is None else str(equipment.archive),
        }
    )
    screen.result(_operator_table(delivery.simplification))
    screen.result("")
    screen.result(_parity_table(report))
    left_out = delivery.check.left_out
    if left_out:
        screen.result(
            f"{len(left_out)} cases left out by --parity-budget: {left_out[0]} .. {left_out[-1]}"
        )
    screen.result("")
    if len(bundle.manifest.variants) > 1:
        screen.result(variant_table(bundle.manifest))
        for line in variant_lines(bundle.manifest):
            screen.result(line)
        screen.result("")
    if bundle.manifest.engines:
        screen.result(engine_table(equipment.engines))
        screen.result("")
    screen.result(f"bundle {bundle.folder}")
    if equipment.archive is not None:
        screen.result(f"archive {equipment.archive}")


def _operator_table(simplification: Simplification) -> str:
    before, after = simplification.before, simplification.after
    rows = [(name, str(before[name]), str(after[name])) for name in sorted(before | after)]
    rows.append(("all", str(before.total()), str(after.total())))
    return text_table(("operator", "traced", "simplified"), rows)


def _parity_table(report: ParityReport) -> str:
    header = ("shape", "images", "noise", "error", "ratio", "cosine", "SQNR dB", "top-1 %")
    return text_table(header, [_parity_row(case) for case in report.cases])


def _parity_row(case: CaseParity) -> tuple[str, ...]:
    return (
        "x".join(map(str, case.shape)),
        # The file's name tells enough; with more the table would cut the middle out of it.
        case.content.removeprefix("photograph "),
        f"{case.noise:.1e}",
        "-" if case.error is None else f"{case.error:.1e}",
        "-" if case.ratio is None else f"{case.ratio:.2f}",
        f"{case.cosine:.6f}",
        f"{case.sqnr_db:.1f}",
        f"{100 * case.top1_agreement:.0f}",
    )
