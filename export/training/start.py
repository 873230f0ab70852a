"""Starts a training: a module with the weights it begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from export.load import Classifier, LoadOptions, load
from export.models.resnet import ResNet
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

__all__ = ["Start", "start"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training starts from."""

    module: ResNet
    """float32, on the CPU, with one class per label."""
    image: ImageSpec
    """The preprocessing of the weights; that of the model where they are random."""
    origin: str
    """Where the weights are from, for people."""
    trained: bool
    """Whether there is anything in the weights to be kept."""
    sha256: str
    """Of the weights, before a head was drawn anew."""


def start(name: str, weights: str, labels: Sequence[str], channels: int | None, seed: int) -> Start:
    """Return the named model, ready to learn the labels.

    Args:
        name: of the catalogue.
        weights: as `export.load.LoadOptions` has them. Random ones are drawn as torchvision draws
            them, which is where training starts well; export's are scattered to be told apart.
        labels: the classes. A head for others, or for some without names, is drawn anew.
        channels: None is as many as the weights have.
        seed: of what is drawn.

    Raises:
        OptionError: if the model cannot be trained here, or takes no image files.
        DeployError: as `export.load.load`.
    """
    random = weights == "random"
    classes = len(labels) if random else None
    options = LoadOptions(weights=weights, seed=seed, classes=classes, channels=channels)
    classifier = load(name, options)
    module = classifier.module
    if not isinstance(module, ResNet):
        raise OptionError(f"{name} cannot be trained here; expected a ResNet of export --list")
    if classifier.image.channels == "planes":
        raise OptionError(
            f"channels: given {classifier.in_channels}; expected 1 or 3, as image files have"
        )
    keep_head = not random and tuple(labels) == classifier.labels
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if random:
            module.reset_parameters()
        elif not keep_head:
            module.fc = nn.Linear(module.fc.in_features, len(labels))
    return Start(
        module=module,
        image=classifier.image,
        origin=_describe(classifier, keep_head=random or keep_head),
        trained=not random,
        sha256=classifier.weights.sha256,
    )


def _describe(classifier: Classifier, *, keep_head: bool) -> str:
    weights = classifier.weights
    head = "" if keep_head else f"; the head of {classifier.classes} classes drawn anew"
    return f"{weights.origin} weights, {weights.detail}{head}"
