"""Opens the source of a model's weights: chance, this package, torchvision, or a file.

random        to be drawn; the default of plain names
embedded      the trained weights inside this package; the default of the name they are for
imagenet      torchvision's first published weights; imagenet-v2: the second
a file        .safetensors, .pth or .pt
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from torch import Tensor

from export.checkpoint import read_checkpoint
from export.models.catalogue import ModelCard
from export.models.imagenet import VERSIONS, find_imagenet
from runtime.errors import CheckpointError
from runtime.image_spec import ImageSpec

__all__ = ["WEIGHTS_FOLDER", "Source", "open_source"]

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
"""The embedded weights: one safetensors file, named after its model."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights, and what they bring along."""

    origin: str
    """"random", "embedded", "imagenet" or "file"."""
    detail: str
    """The name of the weights enum, or the file's name; empty for random weights."""
    weights: Mapping[str, Tensor]
    """Empty where they are to be drawn."""
    classes: int
    channels: int
    image: ImageSpec
    """The model's own preprocessing where the weights bring none."""
    labels: tuple[str, ...]
    """One per class; empty where nothing is known of them."""

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f"{self.origin} weights ({self.detail})"


def open_source(card: ModelCard, weights: str, classes: int | None, channels: int | None) -> Source:
    """Return the source of a model's weights.

    Args:
        card: the model.
        weights: one of the words above, or the path of a file; "" is the model's own default.
        classes: what random weights are to have; None is the model's default.
        channels: likewise.

    Raises:
        CheckpointError: if there are no such weights, or their file cannot be read.
    """
    weights = weights or card.weights
    if weights == "random":
        return _random(card, classes or card.classes, channels or card.channels)
    if weights == "embedded":
        return _embedded(card)
    if weights in VERSIONS:
        found = find_imagenet(card.name, weights)
        source = _from_file(card, found.path, "imagenet")
        return replace(source, detail=found.detail, image=found.image, labels=found.labels)
    return _from_file(card, Path(weights), "file")


def _random(card: ModelCard, classes: int, channels: int) -> Source:
    return Source(
        origin="random",
        detail="",
        weights={},
        classes=classes,
        channels=channels,
        image=_for_channels(card.image, channels),
        labels=(),
    )


def _embedded(card: ModelCard) -> Source:
    if card.weights != "embedded":
        raise CheckpointError(
            f"no weights of {card.name} come with this package; "
            "expected random, imagenet, imagenet-v2 or a checkpoint file"
        )
    return _from_file(card, WEIGHTS_FOLDER / f"{card.name}.safetensors", "embedded")


def _from_file(card: ModelCard, path: Path, origin: str) -> Source:
    checkpoint = read_checkpoint(path)
    metadata = checkpoint.metadata
    classes = _size(checkpoint.weights, "fc.weight", 0) or card.classes
    channels = _size(checkpoint.weights, "conv1.weight", 1) or card.channels
    if metadata and (metadata.classes, metadata.image.channel_count) != (classes, channels):
        raise CheckpointError(
            f"'{path}': its metadata tells of {metadata.classes} classes and "
            f"{metadata.image.channel_count} channels, its weights have {classes} and {channels}"
        )
    return Source(
        origin=origin,
        detail=path.name,
        weights=checkpoint.weights,
        classes=classes,
        channels=channels,
        image=metadata.image if metadata else _for_channels(card.image, channels),
        labels=metadata.labels if metadata else (),
    )


def _size(weights: Mapping[str, Tensor], name: str, dimension: int) -> int:
    """Return one size of a tensor; 0 where there is no such tensor or dimension."""
    shape = tuple(weights[name].shape) if name in weights else ()
    return shape[dimension] if dimension < len(shape) else 0


def _for_channels(image: ImageSpec, channels: int) -> ImageSpec:
    """Return the preprocessing with the statistics of its average channel, if it has others."""
    if channels == image.channel_count:
        return image
    return replace(
        image,
        channels={1: "L", 3: "RGB"}.get(channels, "planes"),
        mean=(round(mean(image.mean), 4),) * channels,
        std=(round(mean(image.std), 4),) * channels,
    )
