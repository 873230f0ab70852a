"""Loads a classifier: a named model with weights, and the preprocessing and labels they belong to.

What a person says of classes and channels must agree with weights that have them; what they say of
preprocessing and labels takes the place of what the weights say. See export.models.sources for
where weights can come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from export.models.catalogue import ModelCard, find
from export.models.fit import fit
from export.models.initialise import initialise
from export.models.sources import Source, open_source
from runtime.errors import CheckpointError, OptionError
from runtime.image_spec import ImageSpec
from runtime.manifest import WeightsInfo

__all__ = ["Classifier", "LoadOptions", "load"]

MAX_CLASSES = 100_000
MAX_CHANNELS = 1024
"""Far more than any real model has; beyond them memory runs out before a message can say why."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What a person asks for; None leaves a thing to the weights.

    Raises:
        OptionError: if a number is out of range.
    """

    weights: str = ""
    """"random", "embedded", "imagenet", "imagenet-v2" or a file; "" is the model's own default."""
    seed: int = 0
    """Of random weights."""
    classes: int | None = None
    channels: int | None = None
    labels: Path | None = None
    """A UTF-8 text file with one label a line."""
    resize: int | None = None
    """Shorter side after resizing, in pixels."""
    crop: int | None = None
    """Side of the central square, in pixels."""
    mean: tuple[float, ...] | None = None
    """One per channel, or one for all; in units of the weights' value range, 0 to 1 as a rule."""
    std: tuple[float, ...] | None = None
    """Likewise."""
    interpolation: str | None = None

    def __post_init__(self) -> None:
        for what, given, low, high in (
            ("seed", self.seed, 0, 2**63 - 1),
            ("classes", self.classes, 1, MAX_CLASSES),
            ("channels", self.channels, 1, MAX_CHANNELS),
        ):
            if given is not None and not low <= given <= high:
                raise OptionError(f"{what}: given {given}; expected {low} to {high}")


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A model that is ready to be run, traced or measured."""

    name: str
    module: nn.Module
    """In eval mode, float32, on the CPU, without gradients."""
    image: ImageSpec
    labels: tuple[str, ...]
    """One per class; empty where nothing is known of them."""
    weights: WeightsInfo
    in_channels: int
    classes: int


def load(name: str, options: LoadOptions = LoadOptions()) -> Classifier:
    """Return the named classifier with the weights, preprocessing and labels that are asked for.

    Raises:
        UnknownModelError: if there is no model of that name.
        CheckpointError: if the weights cannot be read, are not this model's, or disagree with the
            classes or channels that are asked for.
        OptionError: if the labels or the preprocessing cannot work.
    """
    card = find(name)
    source = open_source(card, options.weights, options.classes, options.channels)
    _check_agreement("classes", options.classes, source.classes, MAX_CLASSES, source)
    _check_agreement("channels", options.channels, source.channels, MAX_CHANNELS, source)
    image = _prepare(source.image, options)
    labels = _read_labels(options.labels, source.classes) if options.labels else source.labels
    module = _build(card, source, options.seed)
    weights = WeightsInfo(
        origin=source.origin,
        detail=source.detail or f"seed {options.seed}",
        sha256=_hash_weights(module.state_dict()),
    )
    return Classifier(
        name=name,
        module=module,
        image=image,
        labels=labels,
        weights=weights,
        in_channels=source.channels,
        classes=source.classes,
    )


def _check_agreement(what: str, asked: int | None, found: int, most: int, source: Source) -> None:
    if asked not in (None, found):
        raise CheckpointError(
            f"{what}: given {asked}, but the {source.title} have {found}; "
            f"leave --{what} out, or choose other weights"
        )
    if found > most:
        raise CheckpointError(f"the {source.title} have {found} {what}; expected {most} at most")


def _prepare(image: ImageSpec, options: LoadOptions) -> ImageSpec:
    """Return the preprocessing with what a person said of it."""
    count = image.channel_count
    mean = options.mean or image.mean
    std = options.std or image.std
    prepared = replace(
        image,
        resize=image.resize if options.resize is None else options.resize,
        crop=image.crop if options.crop is None else options.crop,
        mean=mean * count if len(mean) == 1 else mean,
        std=std * count if len(std) == 1 else std,
        interpolation=options.interpolation or image.interpolation,
    )
    if prepared.crop > prepared.resize and (options.resize or options.crop):
        raise OptionError(
            f"image size: crop {prepared.crop} is larger than resize {prepared.resize} and would "
            "have black borders; give both --resize and --crop"
        )
    return prepared


def _read_labels(path: Path, classes: int) -> tuple[str, ...]:
    try:
        labels = tuple(line.strip() for line in path.read_text("utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(
            f"cannot read labels from '{path}': {reason}; expected one label a line"
        ) from None
    if len(labels) != classes or not all(labels):
        empty = labels.count("")
        raise OptionError(
            f"labels: '{path}' has {len(labels)} lines, {empty} of them empty; "
            f"expected {classes}, one label a class"
        )
    return labels


def _build(card: ModelCard, source: Source, seed: int) -> nn.Module:
    # On the meta device nothing is drawn that is to be replaced at once.
    with torch.device("meta"):
        module = card.build(classes=source.classes, channels=source.channels)
    if source.weights:
        weights = fit(source.weights, module.state_dict(), source.title, card.name)
        module.load_state_dict(weights, assign=True)
    else:
        # Not Module.to_empty, which loads sympy (0.3 s).
        shapes = module.state_dict().items()
        empty = {name: torch.empty(v.shape, dtype=v.dtype, device="cpu") for name, v in shapes}
        module.load_state_dict(empty, assign=True)
        initialise(module, seed)
    return module.eval().requires_grad_(requires_grad=False)


def _hash_weights(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes, in the state dict's order."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().numpy().data)
    return digest.hexdigest()
