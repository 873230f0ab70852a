"""Judges whether fp32 gives PyTorch's own class on the labelled images."""

from __future__ import annotations

from pathlib import Path

import torch

from export.classifier import Classifier
from export.divergence.show_images import show_images
from export.reference import TorchRunner
from export.verdict.finding import Finding
from export.verdict.gates import FAIL, PASS
from runtime.bundle import Bundle
from runtime.evaluation.statistics import wilson
from runtime.feed import fill_batch, fixed_batch
from runtime.open_runner import open_runner
from runtime.terminal import Screen

__all__ = ["check_sameness"]

_BATCH = 32


def check_sameness(
    bundle: Bundle, classifier: Classifier, files: list[Path], screen: Screen
) -> Finding:
    """Return on how many images fp32 gives the class of the module it was exported from.

    Args:
        bundle: the bundle.
        classifier: what it was exported from.
        files: images that can be read; one at least.
        screen: shows the progress.
    """
    reference, runner = TorchRunner(classifier.module, torch.float32), open_runner(bundle, "fp32")
    fixed = fixed_batch(bundle.variant("fp32"))
    batch = fixed or _BATCH
    same = 0
    with screen.step("compare") as step, screen.progress("compare", len(files)) as advance:
        for shown in show_images(files, bundle.manifest, len(files), batch):
            expected = reference.logits(shown.images).argmax(axis=1)
            given = runner.logits(fill_batch(shown.fed, fixed))[: len(expected)].argmax(axis=1)
            same += int((given == expected).sum())
            for _ in expected:
                advance()
        step.detail = f"{len(files)} images beside {reference.name}"
    share = wilson(same, len(files))
    return Finding(
        area="best class",
        subject="fp32",
        measured=f"{same} of {len(files)}",
        gate="all",
        status=FAIL if same < len(files) else PASS,
        value=100 * share.value,
        low=100 * share.low,
        high=100 * share.high,
        unit="%",
        remark="labelled images that PyTorch gives the same class",
    )
