"""LoadOptions: what a person asks of a model; refused, if need be, before PyTorch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.errors import OptionError

__all__ = ["HEADS", "LAWS", "MAX_CHANNELS", "MAX_CLASSES", "LoadOptions"]

MAX_CLASSES = 100_000
MAX_CHANNELS = 1024
"""Far more than any real model has; beyond them memory runs out before a message can say why."""
LAWS = ("scattered", "kaiming", "torch", "torch-sqrt3", "normal")
"""That random weights are drawn by, of export.models.initialise; the first if nobody says."""
WAYS = ("repeat", "mean", "sum", "luma", "adapter")
"""From weights for RGB to weights for other channels, of export.models.channels."""
HEADS = ("logits", "features", "stages")
"""What a model gives, of export.models.heads."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What a person asks for; None leaves a thing to the weights.

    Raises:
        OptionError: if a number is out of range, a name unknown, or two cannot be had together.
    """

    weights: str = ""
    """"random", "embedded", "imagenet", "imagenet-v2" or a file; "" is the model's own default."""
    seed: int = 0
    """Of random weights."""
    init: str = ""
    """The law random weights are drawn by, one of LAWS; "" is "scattered"."""
    ema: bool = False
    """Take the average over the training's steps, where a file has both."""
    from_rgb: str = ""
    """How weights for RGB become weights for `channels`, one of WAYS; "" if they are not to."""
    classes: int | None = None
    channels: int | None = None
    head: str = "logits"
    """What is given back, one of HEADS."""
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
        if self.head not in HEADS:
            raise OptionError(f"--head: given '{self.head}'; expected one of {', '.join(HEADS)}")
        if self.head != "logits" and self.labels:
            raise OptionError(f"--labels: given with --head {self.head}, which has no classes")
        if self.init and self.init not in LAWS:
            raise OptionError(f"--init: given '{self.init}'; expected one of {', '.join(LAWS)}")
        if self.from_rgb:
            _check_way(self.from_rgb, self.channels)


def _check_way(way: str, channels: int | None) -> None:
    """Refuse what weights cannot be turned by from three channels to others."""
    if way not in WAYS:
        raise OptionError(f"--from-rgb: given '{way}'; expected one of {', '.join(WAYS)}")
    if channels in (None, 3):
        raise OptionError(
            f"--from-rgb {way}: given {channels or 'no'} channels; expected another number than "
            "the 3 of the weights, such as --channels 1"
        )
    if way == "repeat" and channels != 1:
        raise OptionError(
            f"--from-rgb repeat: given {channels} channels; only a single one is repeated into "
            "three; expected mean, sum, luma or adapter"
        )
