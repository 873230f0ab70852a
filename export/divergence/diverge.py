"""Finds where a variant of a bundle leaves PyTorch, in two passes of bounded memory.

1  the borders: stem, blocks, head        few tensors, so even a ResNet-152 needs little
2  inside the blocks where it leaves PyTorch, where it is worst, and where a channel stands out
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.divergence.divergence import Divergence
from export.divergence.judge_tensors import first_to_leave, judge_tensors
from export.divergence.load_reference import load_reference
from export.divergence.look import look
from export.divergence.sides import Sides, read_variant
from export.divergence.wish import Wish
from export.fold import fold_batchnorm
from export.parity.compare_weights import compare_weights
from export.parity.report import WeightParity
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.terminal import Screen

__all__ = ["Question", "diverge"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which variant is to be laid beside which module, on what.

    Raises:
        OptionError: if there would be no image.
    """

    wish: Wish
    variant: str = "fp32"
    data: Path | None = None
    """A folder of images; None are those of this package."""
    images: int = 16
    """How many at most."""
    everywhere: bool = False
    """Look inside of every block."""

    def __post_init__(self) -> None:
        if self.images < 1:
            raise OptionError(f"--images: given {self.images}; expected at least 1")


def diverge(bundle: Bundle, question: Question, screen: Screen) -> Divergence:
    """Return where the variant leaves the module.

    Raises:
        DeployError: if the bundle, the variant, the module or the images are not what was asked
            for, or cannot run.
    """
    precision = bundle.variant(question.variant).precision
    with screen.step("load") as step:
        original = read_variant(bundle, "fp32")
        classifier = load_reference(question.wish, bundle, original)
        weights = classifier.weights
        step.detail = f"{classifier.name}, {weights.origin} weights, {weights.detail}"
        sides = Sides.of(
            bundle, question.variant, original, classifier, question.data, question.images
        )
    depths, strangers = look(sides, precision, screen, everywhere=question.everywhere)
    tensors = judge_tensors(depths, original, precision)
    with screen.step("answer"):
        as_run = sides.measure_as_run()
    shown = str(question.data or f"{classifier.samples} of this package")
    return Divergence(
        bundle=str(bundle.folder),
        model=classifier.name,
        variant=question.variant,
        precision=precision,
        images=sides.count,
        shown=shown if sides.files else "random normal",
        skipped=sides.skipped,
        same_weights=weights.sha256 == bundle.manifest.weights.sha256,
        tensors=tensors,
        first=first_to_leave(tensors, precision),
        worst=min(tensors, key=lambda tensor: tensor.sqnr_db).module,
        answer_db=tensors[-1].sqnr_db,
        answer_as_run_db=as_run,
        weights=_compare_weights(sides) if precision == "float32" else None,
        not_compared=strangers,
    )


def _compare_weights(sides: Sides) -> WeightParity:
    return compare_weights(fold_batchnorm(sides.classifier.module), sides.original)
