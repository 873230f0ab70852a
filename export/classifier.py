"""The classifier that everything in export hands on, and what a person asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from export.models.channels import check_way
from export.models.heads import check_head
from export.models.initialise import check_initialisation
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.manifest import WeightsInfo

__all__ = ["MAX_CHANNELS", "MAX_CLASSES", "Classifier", "LoadOptions"]

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
    init: str = ""
    """The law random weights are drawn by, of export.models.initialise; "" is "scattered"."""
    ema: bool = False
    """Take the average over the training's steps, where a file has both."""
    from_rgb: str = ""
    """How weights for RGB become weights for `channels`, one of export.models.channels.WAYS; "" if
    they are not to."""
    classes: int | None = None
    channels: int | None = None
    head: str = "logits"
    """What is given back, one of export.models.heads.HEADS."""
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
        check_head(self.head)
        if self.head != "logits" and self.labels:
            raise OptionError(f"--labels: given with --head {self.head}, which has no classes")
        if self.init:
            check_initialisation(self.init)
        if self.from_rgb:
            check_way(self.from_rgb, self.channels)


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
