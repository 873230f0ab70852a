"""Weights in files: read_checkpoint takes what anybody wrote, write_checkpoint makes them.

    file -> document (read_document) -> named tensors (unwrap) -> torchvision's names (rename)

A safetensors file written here carries one metadata key, "resnet-deploy": a TrainedModel as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from torch import Tensor

from export.weights.layouts import rename
from export.weights.read_document import read_document
from export.weights.unwrap import unwrap
from runtime.errors import BundleError, CheckpointError, OptionError
from runtime.image_spec import ImageSpec
from runtime.locking import replace
from runtime.schema import from_json, to_json

__all__ = ["METADATA_KEY", "Checkpoint", "TrainedModel", "read_checkpoint", "write_checkpoint"]

METADATA_KEY = "resnet-deploy"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What weights need beside them to be used.

    Raises:
        CheckpointError: if labels and classes disagree.
    """

    model: str
    """Name in the catalogue."""
    classes: int
    labels: tuple[str, ...]
    """One per class; empty where nothing is known of them."""
    image: ImageSpec
    """The preprocessing the model was trained for."""
    top1: float | None
    """Accuracy in percent on images the training never saw; None if it was not measured."""
    notes: dict[str, str]
    """How the weights were made, for people: data, split, seed, recipe."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != self.classes:
            raise CheckpointError(
                f"metadata: given {len(self.labels)} labels for {self.classes} classes; "
                "expected one per class, or none"
            )


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights as read from a file; nothing says yet that they fit a model."""

    weights: dict[str, Tensor]
    """On the CPU, keys as torchvision names them."""
    metadata: TrainedModel | None
    """None for a file that this project did not write."""
    layout: str = ""
    """Whose names the keys were, as export.weights.layouts has it; empty if no key is known."""
    known: int = 0
    """How many of the keys are known in that layout."""
    place: str = ""
    """Where in the document they stood: "['state_dict']"; empty for the document itself."""
    averaged: bool = False
    """Whether they are an average over the training's steps (EMA)."""
    left: str = ""
    """The copy that was not taken, the average or the weights; empty if there is none."""


def read_checkpoint(path: Path, *, ema: bool = False) -> Checkpoint:
    """Return the weights in a .safetensors, .pth or .pt file.

    Args:
        path: the file.
        ema: take the average over the training's steps, where the file has both.

    Raises:
        CheckpointError: if there is no such file, or it is damaged, would run code, or holds
            anything but named tensors.
    """
    document, notes = read_document(path)
    unwrapped = unwrap(document, path, ema=ema)
    renamed = rename(unwrapped.weights)
    return Checkpoint(
        weights=renamed.weights,
        metadata=_metadata(notes.get(METADATA_KEY), path),
        layout=renamed.layout,
        known=renamed.known,
        place=unwrapped.place,
        averaged=unwrapped.averaged,
        left=unwrapped.left,
    )


def write_checkpoint(path: Path, weights: Mapping[str, Tensor], metadata: TrainedModel) -> None:
    """Write a safetensors file whole or not at all; equal arguments give equal bytes.

    Raises:
        CheckpointError: if it cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    data = safetensors.torch.save(tensors, {METADATA_KEY: to_json(metadata).decode()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)
    except OSError as error:
        raise CheckpointError(f"cannot write weights to '{path}': {error.strerror}") from None


def _metadata(text: str | None, path: Path) -> TrainedModel | None:
    if text is None:
        return None
    try:
        return from_json(TrainedModel, text.encode(), f"'{path}': metadata")
    except (BundleError, OptionError) as error:
        raise CheckpointError(str(error)) from None
