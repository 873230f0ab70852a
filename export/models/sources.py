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

import torch
from torch import Tensor

from export.checkpoint import Checkpoint, read_checkpoint
from export.models.catalogue import ModelCard
from export.models.channels import for_channels
from export.models.imagenet import VERSIONS, find_imagenet
from export.weights.identify import as_saved, identify, sizes
from runtime.errors import CheckpointError
from runtime.image_spec import ImageSpec

__all__ = ["WEIGHTS_FOLDER", "Source", "open_source", "open_unnamed"]

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
"""The embedded weights: one safetensors file, named after its model."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights, and what they bring along."""

    card: ModelCard
    """The model they are of, or are said to be of."""
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
    notes: tuple[str, ...] = ()
    """What was done to read the weights, for the person: a line each."""

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f"{self.origin} weights ({self.detail})"


def open_source(
    card: ModelCard, weights: str, classes: int | None, channels: int | None, *, ema: bool
) -> Source:
    """Return the source of a model's weights.

    Args:
        card: the model.
        weights: one of the words above, or the path of a file; "" is the model's own default.
        classes: what random weights are to have; None is the model's default.
        channels: likewise.
        ema: take the average over the training's steps, where a file has both.

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
    return _from_file(card, Path(weights), "file", ema=ema)


def open_unnamed(weights: str, *, ema: bool) -> Source:
    """Return the source of weights in a file that has to tell itself what model they are of.

    Args:
        weights: the path of the file.
        ema: take the average over the training's steps, where the file has both.

    Raises:
        CheckpointError: if it cannot be read, or no model or more than one can be made out.
    """
    path = Path(weights)
    checkpoint = read_checkpoint(path, ema=ema)
    card = identify(checkpoint, f"file weights ({path.name})")
    return _from_checkpoint(card, checkpoint, path, "file", _recognised(card, checkpoint))


def _recognised(card: ModelCard, checkpoint: Checkpoint) -> tuple[str, ...]:
    if checkpoint.metadata:
        return (f"recognised {card.name} by the file's metadata",)
    return (
        f"recognised {card.name} by the names ({checkpoint.layout}) and shapes of the tensors",
        f"the file says nothing of preprocessing: taken as usual for {card.name}; to change it: "
        "--resize --crop --mean --std",
    )


def _random(card: ModelCard, classes: int, channels: int) -> Source:
    return Source(
        card=card,
        origin="random",
        detail="",
        weights={},
        classes=classes,
        channels=channels,
        image=for_channels(card.image, channels),
        labels=(),
    )


def _embedded(card: ModelCard) -> Source:
    if card.weights != "embedded":
        raise CheckpointError(
            f"no weights of {card.name} come with this package; "
            "expected random, imagenet, imagenet-v2 or a checkpoint file"
        )
    return _from_file(card, WEIGHTS_FOLDER / f"{card.name}.safetensors", "embedded")


def _from_file(card: ModelCard, path: Path, origin: str, *, ema: bool = False) -> Source:
    checkpoint = read_checkpoint(path, ema=ema)
    return _from_checkpoint(as_saved(card, checkpoint.weights), checkpoint, path, origin, ())


def _from_checkpoint(
    card: ModelCard, checkpoint: Checkpoint, path: Path, origin: str, notes: tuple[str, ...]
) -> Source:
    metadata = checkpoint.metadata
    classes, channels, _ = sizes(checkpoint.weights)
    classes, channels = classes or card.classes, channels or card.channels
    if metadata and (metadata.classes, metadata.image.channel_count) != (classes, channels):
        raise CheckpointError(
            f"'{path}': its metadata tells of {metadata.classes} classes and "
            f"{metadata.image.channel_count} channels, its weights have {classes} and {channels}"
        )
    return Source(
        card=card,
        origin=origin,
        detail=path.name,
        weights=checkpoint.weights,
        classes=classes,
        channels=channels,
        image=metadata.image if metadata else for_channels(card.image, channels),
        labels=metadata.labels if metadata else (),
        notes=(*notes, *_notes(checkpoint)),
    )


def _notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return what a person should know of how the weights were found in the file."""
    notes = []
    if checkpoint.averaged:
        notes.append(f"took the average over steps (EMA){_under(checkpoint.place)}")
    if checkpoint.left and not checkpoint.averaged:
        notes.append(
            f"took the weights{_under(checkpoint.place)}; the file also holds an average over "
            f"steps (EMA), '{checkpoint.left}': --ema takes it"
        )
    kinds = {v.dtype for v in checkpoint.weights.values() if v.is_floating_point()}
    others = sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})
    if others:
        notes.append(f"converted {' and '.join(others)} weights to float32")
    return tuple(notes)


def _under(place: str) -> str:
    return f" under {place}" if place else ""
