"""Starts a training: a module with the weights it begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from export.classifier import Classifier
from export.load import load
from export.load_options import LoadOptions
from export.models.resnet import ResNet
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

__all__ = ["Start", "start"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training starts from."""

    name: str
    """Of the model, in the catalogue."""
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


def start(name: str, options: LoadOptions, labels: Sequence[str]) -> Start:
    """Return the named model, ready to learn the labels.

    Args:
        name: as `export.load.load` knows it.
        options: the weights, in words or as a file, what is made of them, and a seed. Random ones
            are drawn as torchvision draws them unless a law is named: that is where training
            starts well, which is not what an export is drawn for.
        labels: the classes. A head for others, or for some without names, is drawn anew.

    Raises:
        OptionError: if the model cannot be trained here, or takes no image files.
        DeployError: as `export.load.load`.
    """
    random = options.weights == "random"
    if random:
        options = replace(options, classes=len(labels), init=options.init or "kaiming")
    classifier = load(name, options)
    module = classifier.module
    if not isinstance(module, ResNet):
        raise OptionError(f"{name} cannot be trained here; expected a ResNet of export --list")
    if classifier.image.channels == "planes":
        raise OptionError(
            f"channels: given {classifier.in_channels}; expected 1 or 3, as image files have"
        )
    keep_head = random or tuple(labels) == classifier.labels
    if not keep_head:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(options.seed)
            module.fc = nn.Linear(module.fc.in_features, len(labels))
    return Start(
        name=classifier.name,
        module=module,
        image=classifier.image,
        origin=_describe(classifier, keep_head=keep_head),
        trained=not random,
        sha256=classifier.weights.sha256,
    )


def _describe(classifier: Classifier, *, keep_head: bool) -> str:
    weights = classifier.weights
    head = [] if keep_head else [f"the head of {classifier.classes} classes is drawn anew"]
    return "; ".join([f"{weights.origin} weights, {weights.detail}", *classifier.notes, *head])
