"""Checks an ONNX model against the PyTorch module it came from, over the parity grid."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from export.classifier import Classifier
from export.parity.answers import Answers
from export.parity.compare import FLOAT32_TOLERANCE, compare
from export.parity.compare_weights import compare_weights
from export.parity.grid import Grid
from export.parity.report import ParityReport
from export.parity.truths import Truth
from runtime.onnx_runner import OnnxRunner
from runtime.terminal import Screen

__all__ = ["Check", "check"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The verdict on a model, and the answers it was judged by."""

    truths: tuple[Truth, ...]
    """PyTorch's answers to every case, those that are worth recording first."""
    golden: tuple[Truth, ...]
    """Those."""
    report: ParityReport
    left_out: tuple[str, ...]
    """Shapes the budget had no room for."""


def check(answers: Answers, folded: Classifier, model: bytes, grid: Grid, screen: Screen) -> Check:
    """Return the verdict on a serialized ONNX model, run by ONNX Runtime on the CPU.

    The report may say that it failed: that is for the caller to act on.

    Args:
        answers: of PyTorch to the grid's cases; waited for.
        folded: what was traced; the weights are compared with its.
        model: the ONNX file.
        grid: what to compare on.
        screen: shows the progress.
    """
    candidate = OnnxRunner.open(model)
    weights = compare_weights(folded.module, ir.from_proto(onnx.load_from_string(model)))
    # Each case is run by PyTorch, then by the candidate.
    with screen.step("check") as step, screen.progress("check", 2 * len(grid.cases)) as advance:
        truths = answers.wait(advance)
        report = ParityReport(
            reference="torch float64",
            baseline="torch float32",
            candidate=candidate.name,
            noise_multiple=FLOAT32_TOLERANCE.noise_multiple,
            cases=compare(truths, candidate, FLOAT32_TOLERANCE, advance),
            weights=weights,
        )
        step.detail = _summary(report, grid)
    return Check(truths=truths, golden=truths[: grid.golden], report=report, left_out=grid.left_out)


def _summary(report: ParityReport, grid: Grid) -> str:
    count = f"{len(report.cases)} of {len(report.cases) + len(grid.left_out)} cases"
    ratio = report.worst.ratio
    worst = "an unusable answer" if ratio is None else f"{ratio:.2f} x float32 noise"
    return f"{count}, worst {worst} (allowed {report.noise_multiple:g})"
