"""Finds where a variant of a bundle leaves PyTorch, in two passes of bounded memory.

    1  the borders: stem, blocks, head        few tensors, so even a ResNet-152 needs little
    2  inside the blocks where it leaves PyTorch, where it is worst, and where a channel stands out

First is, in float32, the first tensor of which a channel is off by more than NOISE_MULTIPLE times
what float32 PyTorch is. A lower precision leaves PyTorch everywhere a little, but not suddenly and
all channels alike; there it is the first tensor whose SQNR is SUDDEN_DB below that of the tensors
it is computed from, or of which one channel is off STANDS_OUT times as much as others. What is
computed from the images falls from BEST_DB, which is as good as the precision can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from export.divergence.measure_depth import CLOSEST_DB, Depth
from export.divergence.places import Place, nearest_before
from export.divergence.reference import Wish, load_reference
from export.divergence.sides import Sides, read_variant
from export.fold import fold_batchnorm
from export.parity.compare_weights import compare_weights
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.parity import WeightParity
from runtime.terminal import Screen

__all__ = ["NOISE_MULTIPLE", "Divergence", "Question", "Tensor", "diverge"]

# Faultless graphs of the catalogue and of trained ResNets reach 0.8 to 5; one weight of thousands
# that is off by half reaches 8,000 and more, a bias that is off by 0.1 % some 400.
NOISE_MULTIPLE = 8.0

# Sound int8 and float16 graphs: falls of 9 dB at most, one channel 1.1 to 4.2 times the others. An
# int8 weight that is off by its whole range: 6 to 7 times; a channel of wrong sign: 15 dB and more.
SUDDEN_DB = 15.0
STANDS_OUT = 5.0

BEST_DB = {"float32": CLOSEST_DB, "float16": 71.0, "int8": 50.0}
"""The SQNR, in decibel, of a tensor that was rounded once: 2^-11 relative, and 8 bits full scale.
A better one counts as no better, when it is asked how far the next one falls."""

_UNLIKE_DB = 20.0
"""Below this, two tensors of one name are not the same, if what is computed from them is."""


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


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that both have, and how far apart they are there."""

    module: str
    """By whose name it is known: "layer3.0.conv2", or a block's "layer3.0"."""
    border: bool
    """Every path goes through it; the others are inside of blocks that were looked into."""
    sqnr_db: float
    float32_sqnr_db: float
    """What float32 PyTorch reaches."""
    noise_ratio: float
    """Of its worst channel: the error as a multiple of float32 PyTorch's own."""
    worst_channel: int
    standing_out: float
    """How many times the median channel's that is."""
    fall_db: float
    """How far the SQNR is below that of the tensors it is computed from."""
    scaled: bool
    """Its channels are equalized; their factors were taken out."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Where a variant leaves PyTorch."""

    bundle: str
    model: str
    variant: str
    precision: str
    images: int
    shown: str
    """What they were, for a person."""
    same_weights: bool
    """The module's weights are, by their hash, those the bundle was exported from."""
    tensors: tuple[Tensor, ...]
    """In the order they are computed."""
    first: str
    """The module where it leaves PyTorch; "" if it does so nowhere, or nowhere in particular."""
    worst: str
    """The module whose tensor has the lowest SQNR."""
    answer_db: float
    """The SQNR of the answer, as the graph is written."""
    answer_as_run_db: float
    """Likewise, as ONNX Runtime optimizes and runs the graph on this machine's CPU."""
    weights: WeightParity | None
    """How far the graph's weights are from the module's; None but for float32."""
    not_compared: tuple[str, ...]
    """What bears one name in both and is not the same tensor."""

    def __getitem__(self, module: str) -> Tensor:
        """Return the tensor of that module."""
        return next(tensor for tensor in self.tensors if tensor.module == module)

    @property
    def left(self) -> bool:
        """True if the variant leaves PyTorch where its precision does not explain it."""
        return bool(self.first) or (self.weights is not None and not self.weights.passed)


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
    depths, strangers = _look(sides, precision, screen, everywhere=question.everywhere)
    tensors = _tensors(depths, original, precision)
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
        same_weights=weights.sha256 == bundle.manifest.weights.sha256,
        tensors=tensors,
        first=_first(tensors, precision),
        worst=min(tensors, key=lambda tensor: tensor.sqnr_db).module,
        answer_db=tensors[-1].sqnr_db,
        answer_as_run_db=as_run,
        weights=_compare_weights(sides) if precision == "float32" else None,
        not_compared=strangers,
    )


def _look(
    sides: Sides, precision: str, screen: Screen, *, everywhere: bool
) -> tuple[list[Depth], tuple[str, ...]]:
    """Return what both passes found, in order, and the modules that cannot be compared."""
    borders = [place for place in sides.places if place.border]
    with screen.step("borders") as step:
        coarse = sides.measure(borders)
        step.detail = f"{len(borders)} tensors, {sides.count} images"
    inner = _inner(sides, coarse, precision, everywhere=everywhere)
    fine: tuple[Depth, ...] = ()
    if inner:
        with screen.step("inside") as step:
            fine = sides.measure(inner)
            step.detail = f"{len(inner)} tensors"
    found = {depth.place.module: depth for depth in (*coarse, *fine)}
    strangers = _strangers(found.values(), sides.places, precision)
    looked_at = [place.module for place in sides.places if place in (*borders, *inner)]
    return (
        [found[module] for module in looked_at if module in found and module not in strangers],
        tuple(m for m in looked_at if m not in found or m in strangers),
    )


def _inner(
    sides: Sides, borders: Sequence[Depth], precision: str, *, everywhere: bool
) -> list[Place]:
    """Return the places inside the blocks that are worth a look."""
    tensors = _tensors(borders, sides.original, precision)
    ends = {
        _first(tensors, precision),
        min(tensors, key=lambda tensor: tensor.sqnr_db).module,
        max(tensors, key=lambda tensor: tensor.standing_out).module,
    }
    inner: list[Place] = []
    block: list[Place] = []
    for place in sides.places:
        if not place.border:
            block.append(place)
            continue
        inner += block if everywhere or place.module in ends else []
        block = []
    return inner


def _strangers(depths: Iterable[Depth], places: Sequence[Place], precision: str) -> frozenset[str]:
    """Return the modules whose tensor is another one in the graph.

    A module of one's own may do to a tensor what the graph does elsewhere. It tells by what follows
    being right; in lower precisions nothing is right enough to tell.
    """
    if precision != "float32":
        return frozenset()
    found = {depth.place.module: depth for depth in depths}
    strangers, unlike = set(), list[str]()
    for place in places:
        depth = found.get(place.module)
        if depth is not None and depth.sqnr_db < _UNLIKE_DB:
            unlike.append(place.module)
        elif depth is not None and place.border and depth.noise_ratio <= NOISE_MULTIPLE:
            strangers.update(unlike)
            unlike = []
    return frozenset(strangers)


def _tensors(depths: Sequence[Depth], original: ir.Model, precision: str) -> tuple[Tensor, ...]:
    best = BEST_DB[precision]
    sqnr = {depth.place.tensor: depth.sqnr_db for depth in depths}
    before = nearest_before(original, sqnr.keys())
    return tuple(
        Tensor(
            module=depth.place.module,
            border=depth.place.border,
            sqnr_db=depth.sqnr_db,
            float32_sqnr_db=depth.float32_sqnr_db,
            noise_ratio=depth.noise_ratio,
            worst_channel=depth.worst_channel,
            standing_out=depth.standing_out,
            fall_db=min([best, *(sqnr[name] for name in before[depth.place.tensor])])
            - depth.sqnr_db,
            scaled=depth.scaled,
        )
        for depth in depths
    )


def _first(tensors: Sequence[Tensor], precision: str) -> str:
    """Return the module where it leaves PyTorch; "" where it does not."""
    leaves = _leaves_float32 if precision == "float32" else _leaves_suddenly
    return next((tensor.module for tensor in tensors if leaves(tensor)), "")


def _leaves_float32(tensor: Tensor) -> bool:
    return tensor.noise_ratio > NOISE_MULTIPLE


def _leaves_suddenly(tensor: Tensor) -> bool:
    return tensor.fall_db > SUDDEN_DB or tensor.standing_out > STANDS_OUT


def _compare_weights(sides: Sides) -> WeightParity:
    return compare_weights(fold_batchnorm(sides.classifier.module), sides.original)
