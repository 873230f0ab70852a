"""What an evaluation found: BUNDLE.evaluation.json, which lies beside the bundle.

Read it with `runtime.schema.from_json(Evaluation, data, name)`. Classes are indices into `labels`;
probabilities, shares and errors are 0 to 1; intervals are Wilson's, at 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runtime.results_file import read_results
from runtime.share import Share

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "CalibrationBin",
    "Change",
    "ClassResult",
    "Comparison",
    "DataInfo",
    "Evaluation",
    "Failure",
    "VariantResult",
    "read_evaluation",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """How one class fared, over the images that are of it."""

    index: int
    label: str
    top1: Share
    top5: Share


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The images whose most probable class got a probability in (low, high]."""

    low: float
    high: float
    images: int
    confidence: float
    """Mean probability of the most probable class; 0 where there are no images."""
    accuracy: float
    """Share of them that is right; 0 where there are no images."""


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """How right a variant or an engine is."""

    runner: str
    """What ran it: "onnxruntime cpu"."""
    file: str
    """The model's path within the bundle."""
    sha256: str
    """Of that file: what was evaluated, whatever becomes of the bundle."""
    top1: Share
    top5: Share
    calibration_error: float
    """Expected calibration error over `calibration`'s bins."""
    calibration: tuple[CalibrationBin, ...]
    classes: tuple[ClassResult, ...]
    """The classes that the data has images of, by index."""
    confusion: tuple[tuple[int, int, int], ...]
    """(true class, answered class, images), only where there are any, in order."""
    not_finite: int = 0
    """Images whose logits hold NaN or infinity; they count as wrong, their answer as class -1."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A variant beside "fp32", on the same images."""

    agreement: Share
    """Images both give the same class."""
    became_wrong: int
    """Images that fp32 has right and the variant wrong."""
    became_right: int
    """Images that fp32 has wrong and the variant right."""
    p_worse: float
    """McNemar's exact test, one-sided: how probable so many would have become wrong among those
    that changed sides, were the variant as right as fp32. Small means worse."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A variant's answer to one image."""

    index: int
    """The most probable class; -1 where the logits hold NaN or infinity."""
    probability: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """An image that not all variants answer alike."""

    path: str
    """Below the data's root, with forward slashes, or absolute where it lies elsewhere."""
    truth: int
    answers: dict[str, Answer]
    """By the variant's or engine's name."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An image that could not be read; it counts nowhere."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """Which images, and where their classes were read."""

    source: str
    """What was given: a folder or a CSV file, as an absolute path."""
    root: str
    """The folder that paths are relative to."""
    layout: str
    """How the classes are told, for a person: "a folder for each class"."""
    labels_as: str
    """How they were matched to the model's: "names", "indices", "ILSVRC2012 wnids"."""
    sha256: str
    """Of the list of paths and classes, in order."""
    listed: int
    """Images listed, unreadable ones included."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How right each variant is, and where they differ."""

    schema_version: int
    bundle: str
    """Its folder, as an absolute path."""
    model: str
    key: str
    """SHA-256 of all that the answers depend on."""
    data: DataInfo
    labels: tuple[str, ...]
    """One per class; the index as text where the model has none."""
    images: int
    """That were read and answered."""
    failures: tuple[Failure, ...]
    variants: dict[str, VariantResult]
    """By name, engines included, in the order they ran."""
    comparisons: dict[str, Comparison]
    """By name, every variant but fp32; empty if fp32 was not evaluated."""
    changes: tuple[Change, ...]
    """The images whose most probable class is not the same in all variants, in order."""
    tools: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    """Engines that do not run here, and why."""
    warnings: tuple[str, ...] = ()
    """What limits the meaning of the numbers."""


def read_evaluation(path: Path) -> Evaluation:
    """Return the evaluation in the file.

    Raises:
        BundleError: if there is none that this version can read.
    """
    return read_results(path, Evaluation, SCHEMA_VERSION, "evaluate BUNDLE --data FOLDER")
