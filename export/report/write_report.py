"""Writes a report: gathers the results, measures what explains them, renders one page."""

from __future__ import annotations

import datetime
from pathlib import Path

from calibration.replace_file import replace_file
from export.divergence.reference import Wish
from export.report.content import Activation, Bar, Content, DepthLine, Missing
from export.report.explain import Int8, activations, depth, find_int8, layer_costs
from export.report.gather_parity import parity_rows
from export.report.gather_results import ALTERED, cards, changed_images, class_changes, plane
from export.report.provenance import provenance
from export.report.render import render
from export.verdict.finding import Verdict
from export.verdict.verdict import Evidence
from runtime.bundle import Bundle
from runtime.terminal import Screen

__all__ = ["write_report"]


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
        BundleError: if the file cannot be written.
        DeployError: if something that explains the verdict cannot be measured.
    """
    lines, ranges, bars, quantized = _explain(bundle, evidence, wish, screen)
    evaluation, benchmark = evidence.evaluation, evidence.benchmark
    rows, columns = parity_rows(bundle) if evaluation else (ALTERED, ())
    classes, others, classes_left_out = class_changes(evaluation)
    changes, changes_left_out = changed_images(evaluation, quantized)
    with screen.step("report") as step:
        content = Content(
            verdict=verdict,
            when=f"{datetime.date.today():%d %B %Y}".lstrip("0"),
            variants=cards(bundle, evaluation, benchmark),
            parity=rows,
            parity_variants=columns,
            depth=lines,
            activations=ranges,
            sensitivity=bars,
            quantized=quantized,
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


def _explain(
    bundle: Bundle, evidence: Evidence, wish: Wish | None, screen: Screen
) -> tuple[
    tuple[DepthLine, ...] | Missing,
    tuple[Activation, ...] | Missing,
    tuple[Bar, ...] | Missing,
    str,
]:
    """Return the depth, the worst activations, the costs of layers, and whose these two are."""
    if evidence.evaluation is None:  # what was altered is not run
        return ALTERED, ALTERED, ALTERED, ""
    root = evidence.dataset.root
    lines: tuple[DepthLine, ...] | Missing = Missing(
        reason="PyTorch was not asked.",
        command="python -m export verdict BUNDLE --data FOLDER --report REPORT.html "
        f"--name {bundle.manifest.model.name}",
    )
    if wish is not None:
        lines = depth(bundle, wish, root, screen)
    int8 = find_int8(bundle, root)
    if not isinstance(int8, Int8):
        return lines, int8, int8, ""
    return lines, activations(int8, screen), layer_costs(int8, screen), int8.name


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
