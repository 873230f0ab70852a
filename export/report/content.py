"""What a report shows, as values: whoever measured them, and whether they were measured at all."""

from __future__ import annotations

from dataclasses import dataclass, field

from export.verdict.finding import Verdict
from runtime.share import Share

__all__ = [
    "Activation",
    "Bar",
    "ChangedAnswer",
    "ChangedImage",
    "ClassChange",
    "Content",
    "DepthLine",
    "Facts",
    "Missing",
    "ParityCell",
    "ParityRow",
    "PlanePoint",
    "VariantCard",
]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Stands for what was not measured."""

    reason: str
    """A sentence."""
    command: str = ""
    """What makes it; "" if nothing does."""


@dataclass(frozen=True, kw_only=True)
class VariantCard:
    """The numbers of a variant that matter most."""

    name: str
    precision: str
    size: int
    """Of its file, in bytes."""
    top1: Share | None
    drop: tuple[float, float, float] | None
    """Points of top-1 lost against fp32, and the interval's ends."""
    latency_ms: float | None
    """Median, at the smallest batch."""
    speedup: float | None
    """Against fp32 in the same run."""


@dataclass(frozen=True, kw_only=True)
class ParityCell:
    """How a variant did on a case of the grid."""

    variant: str
    share: float
    """Error as a share of what is allowed; above 1 fails."""
    text: str
    """The number to show."""
    passed: bool


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """A case of the grid and every variant's result."""

    shape: str
    content: str
    cells: tuple[ParityCell | None, ...]
    """One a variant that has a parity file, in order; None where it was not compared."""


@dataclass(frozen=True, kw_only=True)
class DepthLine:
    """How far a variant's tensors are from PyTorch's, along the depth."""

    variant: str
    points: tuple[tuple[str, float], ...]
    """(module, SQNR in decibel), in the order they are computed."""
    marked: str
    """The module where it leaves PyTorch; "" if none."""


@dataclass(frozen=True, kw_only=True)
class Activation:
    """The values of a tensor on real images, and the range that was chosen for them."""

    tensor: str
    edges: tuple[float, ...]
    """Of the bins, rising; one more than the counts."""
    counts: tuple[int, ...]
    low: float
    high: float
    """Ends of the chosen range; what lies beyond is clipped."""
    clipped: float
    """Share of the values beyond, 0 to 1."""
    sqnr_db: float
    """Of the tensor's own rounding and clipping."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What quantizing one layer alone costs."""

    name: str
    sqnr_db: float
    """Of the logits; lower is worse."""
    agreement: float
    """Share of images with the same best class, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class PlanePoint:
    """A variant in the plane of latency and accuracy."""

    variant: str
    latency_ms: float
    top1: Share


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """How a class fares with a variant, beside fp32."""

    label: str
    images: int
    fp32: float
    """Share right, 0 to 1."""
    shares: tuple[float, ...]
    """Of the other variants, in order."""


@dataclass(frozen=True, kw_only=True)
class ChangedAnswer:
    """What a variant says of an image."""

    variant: str
    label: str
    probability: float
    right: bool


@dataclass(frozen=True, kw_only=True)
class ChangedImage:
    """An image that not all variants answer alike."""

    path: str
    truth: str
    picture: str
    """A data: URL; "" where the file cannot be read any more."""
    answers: tuple[ChangedAnswer, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A group of what must be known to repeat it."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything a report shows."""

    verdict: Verdict
    when: str
    """Date of the report, for a person."""
    variants: tuple[VariantCard, ...]
    parity: tuple[ParityRow, ...] | Missing
    parity_variants: tuple[str, ...] = ()
    depth: tuple[DepthLine, ...] | Missing
    activations: tuple[Activation, ...] | Missing
    sensitivity: tuple[Bar, ...] | Missing
    quantized: str = ""
    """The variant that activations and sensitivity are of."""
    plane: tuple[PlanePoint, ...] | Missing
    class_variants: tuple[str, ...] = ()
    classes: tuple[ClassChange, ...] | Missing
    classes_left_out: int = 0
    changes: tuple[ChangedImage, ...] | Missing
    changes_left_out: int = 0
    notes: tuple[str, ...] = field(default=())
    """What limits the meaning of the numbers."""
    provenance: tuple[Facts, ...]
