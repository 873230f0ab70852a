"""The classifier that everything in export hands on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from runtime.image_spec import ImageSpec
from runtime.manifest import WeightsInfo

__all__ = ["Classifier"]


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
    """Of the head: for features, how many there are; for stages, the channels of the last."""
    outputs: tuple[str, ...] = ("logits",)
    """The names of what the module returns, in order."""
    samples: str = "photographs"
    """The sample images it can be shown, as export.samples names them."""
    notes: tuple[str, ...] = ()
    """What was decided on the way that the person did not say: a line each."""
