"""Writes a report: gathers the results, measures what explains them, renders one page."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from export.divergence.wish import Wish
from export.report.content import Activation, Bar, Content, DepthLine, Missing
from export.report.explain import activations, depth, find_int8, layer_costs
from export.report.gather_parity import parity_rows
from export.report.gather_results import ALTERED, cards, changed_images, class_changes, plane
from export.report.provenance import provenance
from export.report.render import render
from export.verdict.finding import Verdict
from export.verdict.verdict import Evidence
from runtime.bundle import Bundle
from runtime.errors import DeployError
from runtime.publishing.replace_file import replace_file
from runtime.terminal import Screen

__all__ = ["write_report"]

T = TypeVar("T")


def write_report(
    path: Path,
    bundle: Bundle,
    verdict: Verdict,
    evidence: Evidence,
    wish: Wish | None,
    screen: Screen,
) -> None:
    """Write the verdict and what explains it as one HTML file.

    Args:
        path: of the file; one that is there is replaced.
        bundle: what was judged.
        verdict: on it.
        evidence: what the verdict rests on.
        wish: what the bundle was exported from; None if PyTorch is not to be asked.
        screen: shows the progress.

    Raises:
        BundleError: if the file cannot be written, or a file of the bundle was altered meanwhile.
    """
    explanation = _explain(bundle, evidence, wish, screen)
    evaluation, benchmark = evidence.evaluation, evidence.benchmark
    rows, columns = parity_rows(bundle) if evaluation else (ALTERED, ())
    classes, others, classes_left_out = class_changes(evaluation)
    changes, changes_left_out = changed_images(evaluation, explanation.quantized)
    with screen.step("report") as step:
        content = Content(
            verdict=verdict,
            when=f"{datetime.date.today():%d %B %Y}".lstrip("0"),
            variants=cards(bundle, evaluation, benchmark),
            parity=rows,
            parity_variants=columns,
            depth=explanation.depth,
            activations=explanation.activations,
            sensitivity=explanation.costs,
            quantized=explanation.quantized,
            plane=plane(evaluation, benchmark),
            class_variants=others,
            classes=classes,
            classes_left_out=classes_left_out,
            changes=changes,
            changes_left_out=changes_left_out,
            notes=_notes(evidence),
            provenance=provenance(bundle, evidence),
        )
        page = render(content).encode()
        replace_file(path, page)
        step.detail = f"{len(page) / 2**10:.0f} KiB"


@dataclass(frozen=True)
class _Explanation:
    depth: tuple[DepthLine, ...] | Missing
    activations: tuple[Activation, ...] | Missing
    costs: tuple[Bar, ...] | Missing
    quantized: str
    """Whose activations and costs these are."""


def _explain(bundle: Bundle, evidence: Evidence, wish: Wish | None, screen: Screen) -> _Explanation:
    if evidence.evaluation is None:  # what was altered is not run
        return _Explanation(ALTERED, ALTERED, ALTERED, "")
    source = evidence.dataset.source
    lines: tuple[DepthLine, ...] | Missing = Missing(
        reason="PyTorch was not asked.",
        command="python -m export verdict BUNDLE --data FOLDER --report REPORT.html "
        f"--name {bundle.manifest.model.name}",
    )
    if wish is not None:
        folder = source if source.is_dir() else None
        lines = _attempt(lambda: depth(bundle, wish, folder, screen), screen)
    int8 = _attempt(lambda: find_int8(bundle, evidence.dataset), screen)
    if isinstance(int8, Missing):
        return _Explanation(lines, int8, int8, "")
    return _Explanation(
        lines,
        _attempt(lambda: activations(int8, screen), screen),
        _attempt(lambda: layer_costs(int8, screen), screen),
        int8.name,
    )


def _attempt(measure: Callable[[], T], screen: Screen) -> T | Missing:
    """Return what is measured, or why it cannot be: a verdict stands without its explanation."""
    try:
        return measure()
    except DeployError as error:
        screen.warn(f"the report goes without: {error}")
        return Missing(reason=f"It could not be measured: {error}.")


def _notes(evidence: Evidence) -> tuple[str, ...]:
    evaluation, benchmark = evidence.evaluation, evidence.benchmark
    notes = [
        *(evaluation.warnings if evaluation else ()),
        *(benchmark.warnings if benchmark else ()),
    ]
    left_out = {
        **(evaluation.left_out if evaluation else {}),
        **(benchmark.left_out if benchmark else {}),
    }
    notes += [f"The engine {name} was not run: {reason}" for name, reason in left_out.items()]
    if benchmark is not None and not benchmark.machine.gpu:
        notes.append(
            "Times are of this processor. What fp16 and int8.trt gain, they gain on a GPU."
        )
    return tuple(notes)
