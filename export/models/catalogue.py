"""The catalogue: every classifier that has a name, and what is known of it.

    resnet, resnext, wide_resnet   torchvision's family for photographs
    small_resnet                   the same stages behind a 3x3 stem without pool, for small images
    cifar_resnet                   He et al.'s own for CIFAR-10: three stages, 16-32-64 wide

Each takes any number of classes and channels. Parameters and multiply-accumulates are counted from
the definition (export.models.count), never written down here. PyTorch is imported to build one, not
to find it: a name that does not exist is told at once.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from export.models.architecture import SMALL_STEM, Architecture
from export.models.cifar import cifar_architecture
from runtime.errors import UnknownModelError
from runtime.image_spec import ImageSpec

if TYPE_CHECKING:
    from torch import nn

    from export.models.resnet import ResNet

__all__ = ["ModelCard", "find", "names"]

_IMAGENET = ImageSpec(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_CIFAR10 = ImageSpec(
    resize=32, crop=32, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)
)
# Mean and standard deviation of the two thirds that scripts/train_digits.py trains on.
_DIGITS = ImageSpec(resize=8, crop=8, mean=(0.3051,), std=(0.3759,), channels="L")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a named classifier before any weights are loaded."""

    name: str
    architecture: Architecture
    image: ImageSpec
    """Preprocessing for weights that bring none; its crop is the model's own input size."""
    classes: int
    samples: str
    """The sample images it can be shown, as export.samples names them."""
    weights: str = "random"
    """Where weights come from when nobody says: "random" or "embedded"."""
    top1: float | None = None
    """Top-1 accuracy in percent, of the weights or on the data that `source` names."""
    source: str = ""
    """Whose top1 it is: torchvision's first weights; He et al. 2015, table 6; for the embedded
    weights, the third of the data that scripts/train_digits.py holds out."""

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.image.channel_count

    def build(self, *, classes: int, channels: int, adapter: nn.Module | None = None) -> ResNet:
        """Return the module on torch's default device, with freshly drawn weights.

        Args:
            classes: logits per image.
            channels: channels that the stem takes.
            adapter: what makes them of the images' channels, if these are others.
        """
        from export.models.resnet import ResNet

        return ResNet(self.architecture, num_classes=classes, in_channels=channels, adapter=adapter)


def find(name: str) -> ModelCard:
    """Return the card of the named model.

    Raises:
        UnknownModelError: if there is none; the message names the nearest ones.
    """
    if name not in _CARDS:
        shown = name[:60]
        near = difflib.get_close_matches(shown.lower(), _CARDS, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_CARDS)}"
        raise UnknownModelError(f"no model {shown!r}; {hint}")
    return _CARDS[name]


def names() -> tuple[str, ...]:
    """Return the names of all models, in the order to show them."""
    return tuple(_CARDS)


def _imagenet_card(name: str, architecture: Architecture, top1: float) -> ModelCard:
    return ModelCard(
        name=name,
        architecture=architecture,
        image=_IMAGENET,
        classes=1000,
        samples="photographs",
        top1=top1,
        source="torchvision V1",
    )


def _small_card(name: str, architecture: Architecture) -> ModelCard:
    return ModelCard(
        name=name,
        architecture=replace(architecture, stem=SMALL_STEM),
        image=_CIFAR10,
        classes=10,
        samples="photographs",
    )


def _cifar_card(depth: int, error: float) -> ModelCard:
    return ModelCard(
        name=f"cifar_resnet{depth}",
        architecture=cifar_architecture(depth),
        image=_CIFAR10,
        classes=10,
        samples="photographs",
        top1=round(100 - error, 2),
        source="He et al., CIFAR-10",
    )


_RESNET18 = Architecture(block="basic", depths=(2, 2, 2, 2))
_RESNET34 = Architecture(block="basic", depths=(3, 4, 6, 3))
_RESNET50 = Architecture(block="bottleneck", depths=(3, 4, 6, 3))
_RESNET101 = Architecture(block="bottleneck", depths=(3, 4, 23, 3))
_RESNET152 = Architecture(block="bottleneck", depths=(3, 8, 36, 3))

_RESNEXT101_64X4D = _imagenet_card(
    "resnext101_64x4d", replace(_RESNET101, groups=64, width_per_group=4), 83.246
)

_CARDS = {
    card.name: card
    for card in (
        _imagenet_card("resnet18", _RESNET18, 69.758),
        _imagenet_card("resnet34", _RESNET34, 73.314),
        _imagenet_card("resnet50", _RESNET50, 76.130),
        _imagenet_card("resnet101", _RESNET101, 77.374),
        _imagenet_card("resnet152", _RESNET152, 78.312),
        _imagenet_card("resnext50_32x4d", replace(_RESNET50, groups=32, width_per_group=4), 77.618),
        _imagenet_card(
            "resnext101_32x8d", replace(_RESNET101, groups=32, width_per_group=8), 79.312
        ),
        # Trained by a later recipe than its siblings, and evaluated at another size.
        replace(_RESNEXT101_64X4D, image=replace(_IMAGENET, resize=232)),
        _imagenet_card("wide_resnet50_2", replace(_RESNET50, width_per_group=128), 78.468),
        _imagenet_card("wide_resnet101_2", replace(_RESNET101, width_per_group=128), 78.848),
        _small_card("small_resnet18", _RESNET18),
        _small_card("small_resnet34", _RESNET34),
        _small_card("small_resnet50", _RESNET50),
        _small_card("small_resnet101", _RESNET101),
        _small_card("small_resnet152", _RESNET152),
        _cifar_card(20, error=8.75),
        _cifar_card(32, error=7.51),
        _cifar_card(44, error=7.17),
        _cifar_card(56, error=6.97),
        _cifar_card(110, error=6.43),
        ModelCard(
            name="resnet20-digits",
            architecture=cifar_architecture(20),
            image=_DIGITS,
            classes=10,
            samples="digits",
            weights="embedded",
            top1=99.67,
            source="UCI digits, held out",
        ),
    )
}
