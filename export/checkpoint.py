"""Reads and writes checkpoints: named weights, and what this project knows of them.

A file is recognised by its content, not by its name. Nothing in it is ever run: pickles are read
by torch's restricted unpickler, and one that asks for more than tensors is refused by what it asks
for. A safetensors file written here carries one metadata key, "resnet-deploy": a TrainedModel as
JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from runtime.errors import BundleError, CheckpointError, OptionError
from runtime.image_spec import ImageSpec
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


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the weights in a .safetensors, .pth or .pt file.

    Raises:
        CheckpointError: if there is no such file, or it is damaged, would run code, or holds
            anything but named tensors.
    """
    data = _read(path)
    metadata = None
    if data[8:9] == b"{":  # safetensors: the length of the header in 8 bytes, then JSON
        with _translated(path):
            document: object = safetensors.torch.load(data)
        metadata = _metadata(data, path)
    else:
        with _translated(path):
            document = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return Checkpoint(weights=_named_tensors(document, path), metadata=metadata)


def write_checkpoint(path: Path, weights: Mapping[str, Tensor], metadata: TrainedModel) -> None:
    """Write a safetensors file whole or not at all; equal arguments give equal bytes.

    Raises:
        CheckpointError: if it cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    data = safetensors.torch.save(tensors, {METADATA_KEY: to_json(metadata).decode()})
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write weights to '{path}': {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file() and path.exists():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise CheckpointError(f"'{path}' is {kind}; expected a .safetensors, .pth or .pt file")
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read weights from '{path}': {error.strerror}; "
            "expected random, imagenet, imagenet-v2 or a .safetensors, .pth or .pt file"
        ) from None
    if not data:
        raise CheckpointError(f"'{path}' is empty; copy or download it again")
    if data.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"'{path}' is a Git LFS pointer, not the weights it points to; run: git lfs pull"
        )
    return data


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols and TorchScript
            yield
    except Exception as error:  # a damaged or hostile file can raise anything
        asked = re.search(r"GLOBAL (\w+(?:\.\w+)+)", str(error))
        if asked:
            raise CheckpointError(
                f"refused to read '{path}': it would run '{asked[1]}'; "
                "expected tensors only, as torch.save(model.state_dict(), ...) writes them"
            ) from None
        raise CheckpointError(
            f"'{path}' is damaged or not a checkpoint ({_reason(error)}); "
            "expected a .safetensors, .pth or .pt file; copy or download it again"
        ) from None


def _reason(error: Exception) -> str:
    """Return what a library says of the file, in a few words."""
    text = str(error).split("WeightsUnpickler error: ")[-1].strip() or "it ends too early"
    if text.startswith("Unsupported operand"):
        return "torch.save did not write it"
    return re.split(r"\. |\n", re.sub(r"^\[.*?\] [. ]*", "", text))[0][:120]


def _metadata(data: bytes, path: Path) -> TrainedModel | None:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(METADATA_KEY)
    if text is None:
        return None
    try:
        return from_json(TrainedModel, text.encode(), f"'{path}': metadata")
    except (BundleError, OptionError) as error:
        raise CheckpointError(str(error)) from None


def _named_tensors(document: object, path: Path) -> dict[str, Tensor]:
    if isinstance(document, dict) and isinstance(document.get("state_dict"), dict):
        document = document["state_dict"]
    if not isinstance(document, dict) or not document:
        raise CheckpointError(
            f"'{path}' holds {_kind(document)}; expected named tensors, "
            "as torch.save(model.state_dict(), ...) writes them"
        )
    for name, value in document.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise CheckpointError(
                f"'{path}' holds {_kind(value)} under {str(name)[:60]!r}; expected named tensors, "
                "as torch.save(model.state_dict(), ...) writes them"
            )
    # What torch.nn.DataParallel puts before every name.
    wrapped = all(name.startswith("module.") for name in document)
    return {name.removeprefix("module.") if wrapped else name: v for name, v in document.items()}


def _is_plain(value: object) -> bool:
    """Return whether it is a dense tensor with its values in memory."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of layout {value.layout} on {value.device}"
    return f"a value of type {type(value).__name__}" if value else "nothing"
