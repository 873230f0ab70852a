"""Identifies the model that weights are of, by the names and shapes of the tensors alone.

    stages and blocks     the numbers in the keys           layer3.5 is the sixth block of stage 3
    kind of block         a third convolution               bottlenecks have one
    groups and width      the second convolution of a block
    stem                  the side of its kernel            7: photographs, 3: small images
    shortcuts             keys of projections or none       none: zero padded, in the CIFAR family

Shapes cannot tell a stride or a pool without weights. Where that leaves two families, and the
layout does not decide, both are named and nothing is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from export.checkpoint import Checkpoint
from export.models.architecture import LARGE_STEM, SMALL_STEM, Architecture, Shortcut
from export.models.catalogue import ModelCard, find, names
from export.models.cifar import CIFAR_WIDTHS, cifar_architecture
from export.models.resnet import ResNet
from export.weights.diagnose import diagnose
from runtime.errors import CheckpointError

__all__ = ["as_saved", "build_for", "identify", "nearest", "sizes"]

_BLOCK = re.compile(r"layer(\d+)\.(\d+)\.")
_STEMS = {7: LARGE_STEM, 3: SMALL_STEM}


def identify(checkpoint: Checkpoint, title: str) -> ModelCard:
    """Return the card of the model that the weights are of, or that they are nearest to.

    A file of this project says it itself. Whether every tensor fits is not looked at.

    Args:
        checkpoint: the weights.
        title: what to call them in a message.

    Raises:
        CheckpointError: if no key is known in any layout, or two families have these shapes.
        UnknownModelError: if the file names a model that the catalogue has not.
    """
    if checkpoint.metadata:
        return as_saved(find(checkpoint.metadata.model), checkpoint.weights)
    weights = checkpoint.weights
    if not any(_BLOCK.match(name) for name in weights):
        raise CheckpointError(
            f"the {title} are of no known layout: none of {len(weights)} tensors belongs to a "
            f"block of a ResNet (the first is {next(iter(weights), '')[:60]!r}); for a model of "
            "your own pass module.path:factory"
        )
    architecture = _read_architecture(weights)
    card = architecture and _matching(architecture)
    if not card:
        return nearest(weights)
    small = card.architecture.stem == SMALL_STEM and len(card.architecture.depths) == 4
    if small and checkpoint.layout == "torchvision":
        raise CheckpointError(
            f"the {title} fit two families: {card.name}, and a {card.name.removeprefix('small_')} "
            "whose stem was replaced (stride and max-pool have no weights to tell); pass "
            f"{card.name} instead of auto if there is no max-pool, or else module.path:factory"
        )
    return card


def as_saved(card: ModelCard, weights: Mapping[str, Tensor]) -> ModelCard:
    """Return the card with the shortcuts of the weights, where its family comes with both kinds."""
    architecture = card.architecture
    if architecture.widths != CIFAR_WIDTHS:
        return card
    return replace(card, architecture=replace(architecture, shortcut=_shortcut(weights)))


def sizes(weights: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Return the classes, the channels of the images, and those of the stem; 0 where unknown."""
    stem = _size(weights, "conv1.weight", 1)
    return _size(weights, "fc.weight", 0), _size(weights, "adapter.weight", 1) or stem, stem


def build_for(card: ModelCard, weights: Mapping[str, Tensor]) -> ResNet:
    """Return the module of the card's model on the meta device, with the sizes of the weights."""
    classes, channels, stem = sizes(weights)
    adapter: nn.Module | None = None
    with torch.device("meta"):
        if "adapter.weight" in weights:
            bias = "adapter.bias" in weights
            adapter = nn.Conv2d(channels or 1, stem or 3, kernel_size=1, bias=bias)
        return card.build(
            classes=classes or card.classes, channels=stem or card.channels, adapter=adapter
        )


def nearest(weights: Mapping[str, Tensor]) -> ModelCard:
    """Return the card of the catalogue's model that most tensors fit, and fewest are amiss of."""
    cards = [as_saved(find(name), weights) for name in names()]

    def amiss(card: ModelCard) -> int:
        diagnosis = diagnose(weights, build_for(card, weights).state_dict())
        return len(diagnosis.misfits) - 2 * diagnosis.fitting

    return min(cards, key=amiss)


def _read_architecture(weights: Mapping[str, Tensor]) -> Architecture | None:
    """Return what the shapes tell; None if they contradict each other or lack something."""
    blocks = {(int(found[1]), int(found[2])) for key in weights if (found := _BLOCK.match(key))}
    stages = sorted({stage for stage, _ in blocks})
    if stages != list(range(1, len(stages) + 1)):
        return None
    depths = tuple(sum(stage == each for stage, _ in blocks) for each in stages)
    bottleneck = "layer1.0.conv3.weight" in weights
    last, expansion = ("conv3", 4) if bottleneck else ("conv2", 1)
    widths = tuple(
        _size(weights, f"layer{stage}.0.{last}.weight", 0) // expansion for stage in stages
    )
    stem = _STEMS.get(_size(weights, "conv1.weight", 3))
    inner, grouped = (_size(weights, "layer1.0.conv2.weight", dim) for dim in (0, 1))
    if stem is None or not all(widths) or not grouped or inner % grouped:
        return None
    groups = inner // grouped
    return Architecture(
        block="bottleneck" if bottleneck else "basic",
        depths=depths,
        widths=widths,
        groups=groups if bottleneck else 1,
        width_per_group=64 * grouped // widths[0] if bottleneck else 64,
        stem=stem,
        shortcut=_shortcut(weights) if widths == CIFAR_WIDTHS else "projection",
    )


def _shortcut(weights: Mapping[str, Tensor]) -> Shortcut:
    return "projection" if any(".downsample." in key for key in weights) else "zero-pad"


def _matching(architecture: Architecture) -> ModelCard | None:
    """Return the card of the architecture: one of the catalogue, grouped anew, or of a depth."""
    cards = [card for card in map(find, names()) if card.weights == "random"]
    for card in cards:
        if replace(architecture, shortcut=card.architecture.shortcut) == card.architecture:
            return replace(card, architecture=architecture)
    new, groups, width = "", architecture.groups, architecture.width_per_group
    base = next((card for card in cards if _plain(architecture) == card.architecture), None)
    if base:
        new = f"{base.name}_{groups}x{width}d"
    elif architecture.widths == CIFAR_WIDTHS and _is_cifar(architecture):
        base, new = find("cifar_resnet20"), f"cifar_resnet{6 * architecture.depths[0] + 2}"
    return base and replace(base, name=new, architecture=architecture, top1=None, source="")


def _plain(architecture: Architecture) -> Architecture:
    return replace(architecture, groups=1, width_per_group=64)


def _is_cifar(architecture: Architecture) -> bool:
    alike = cifar_architecture(6 * architecture.depths[0] + 2, architecture.shortcut)
    return architecture == alike


def _size(weights: Mapping[str, Tensor], name: str, dimension: int) -> int:
    """Return one size of a tensor; 0 where there is no such tensor or dimension."""
    shape = tuple(weights[name].shape) if name in weights else ()
    return shape[dimension] if dimension < len(shape) else 0
