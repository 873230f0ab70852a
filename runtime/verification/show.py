"""Shows what became of a bundle's promises: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses

from runtime.bundle import Bundle
from runtime.table import text_table
from runtime.terminal import Screen
from runtime.verification.check import Check, VerifyReport

__all__ = ["show_verification"]


def show_verification(report: VerifyReport, bundle: Bundle, screen: Screen) -> None:
    """Show every promise and what became of it."""
    screen.document(
        {"bundle": str(bundle.folder), "passed": report.passed, **dataclasses.asdict(report)}
    )
    files = {check.name for check in report.checks if check.passed} & bundle.manifest.files.keys()
    rows = [(f"{len(files)} files", "the sizes and SHA-256 that were published", "ok")]
    rows += [
        (check.name, check.given, _verdict(check))
        for check in report.checks
        if check.name not in files
    ]
    screen.result(text_table(("checked", "found", ""), rows))
    if report.passed:
        skipped = sum(check.skipped for check in report.checks)
        screen.result(
            f"\n{bundle.folder} is what was published: all {len(report.checks) - skipped} checks "
            f"passed ({', '.join(report.runners)})"
            + (f"; {skipped} skipped: golden inputs outside an engine's profiles" * (skipped > 0))
        )
    ran = {runner.partition(" in ")[0] for runner in report.runners}
    idle = [name for name in bundle.manifest.engines if name not in ran]
    if idle:
        screen.result(f"engines not run: {', '.join(idle)}; to run one: --engine {idle[0]}")


def _verdict(check: Check) -> str:
    if check.skipped:
        return "skipped"
    return "ok" if check.passed else "DIFFERS"
