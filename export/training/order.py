"""Order: what to train, on what, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from export.load_options import LoadOptions
from export.training.augment import AUGMENTATIONS
from export.training.recipes import RECIPES, Pace
from export.training.schedule import SCHEDULES
from export.training.split import Shares
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

__all__ = ["Order"]

_EPOCHS = {"freeze": 15, "discriminative": 15, "gradual": 15, "scratch": 100}
_MAX_EPOCHS = 100_000

_NOT_THE_RESULT = ("data", "output", "test", "threads", "workers")
"""Fields that do not decide what is learnt. Of the data it is the images' names that do."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to train, on what, and how. Empty strings, 0 and None leave a choice to the recipe.

    Raises:
        OptionError: if a value cannot work.
    """

    model: str
    data: Path
    recipe: str
    output: Path
    pace: Pace
    weights: str = ""
    """As export has them; by default random for scratch and imagenet for the others."""
    init: str = ""
    """The law that random weights are drawn by; as torchvision does, if empty."""
    from_rgb: str = ""
    """How weights for RGB become weights for `channels`, as export.models.channels has it."""
    epochs: int = 0
    channels: int | None = None
    resize: int | None = None
    """Shorter side after resizing, in pixels."""
    crop: int | None = None
    """Side of the square that the model sees, in pixels."""
    schedule: str = "cosine"
    label_smoothing: float = 0.1
    augment: str = "photograph"
    balance: bool = False
    """Whether rare classes count as much as frequent ones in the loss."""
    precision: str = "auto"
    shares: Shares = field(default_factory=Shares)
    split_seed: int = 0
    seed: int = 0
    """Of weights, order and augmentation."""
    test: bool = False
    """Whether to judge the best epoch on the test images in the end."""
    threads: int = 0
    workers: int | None = None
    """Processes that read images; None is as many as it takes."""

    def __post_init__(self) -> None:
        for what, given, known in (
            ("recipe", self.recipe, RECIPES),
            ("schedule", self.schedule, SCHEDULES),
            ("augmentation", self.augment, AUGMENTATIONS),
        ):
            if given not in known:
                raise OptionError(f"{what}: given '{given}'; expected one of {', '.join(known)}")
        cores = os.cpu_count() or 1
        for name, number, least, most in (
            ("epochs", self.epochs, 0, _MAX_EPOCHS),
            ("seed", self.seed, 0, 2**63 - 1),
            ("threads", self.threads, 0, cores),
            ("workers", self.workers or 0, 0, cores),
        ):
            if not least <= number <= most:
                raise OptionError(f"{name}: given {number}; expected {least} to {most}")
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(
                f"label smoothing: given {self.label_smoothing:g}; expected 0 to below 1"
            )

    def resolve(self) -> Order:
        """Return the order with the choices that are left to the recipe made.

        Raises:
            OptionError: if the weights do not go with the recipe.
        """
        scratch = self.recipe == "scratch"
        weights = self.weights or ("random" if scratch else "imagenet")
        if scratch != (weights == "random"):
            cure = "leave --weights out, or choose discriminative" if scratch else "choose scratch"
            raise OptionError(
                f"recipe {self.recipe} {'starts from random' if scratch else 'needs trained'} "
                f"weights; given '{weights}'; {cure}"
            )
        return replace(self, weights=weights, epochs=self.epochs or _EPOCHS[self.recipe])

    def load_options(self) -> LoadOptions:
        """Return what of a resolved order concerns the weights it starts from.

        Raises:
            OptionError: if it cannot work.
        """
        return LoadOptions(
            weights=self.weights,
            seed=self.seed,
            init=self.init,
            channels=self.channels,
            from_rgb=self.from_rgb,
        )

    def geometry(self, image: ImageSpec) -> ImageSpec:
        """Return the preprocessing with the sizes that are asked for.

        Raises:
            OptionError: if the crop is larger than the image.
        """
        crop = image.crop if self.crop is None else self.crop
        # A crop alone keeps its share of the image.
        resize = round(image.resize * crop / image.crop) if self.resize is None else self.resize
        if crop > resize:
            raise OptionError(
                f"image size: crop {crop} is larger than resize {resize} and would have black "
                "borders; give both --resize and --crop"
            )
        return replace(image, resize=resize, crop=crop)

    def key(self, digest: str, start: str) -> Mapping[str, str]:
        """Return all that decides what is learnt, by name.

        Args:
            digest: of the images' names.
            start: digest of the weights it starts from.
        """
        fields = asdict(self)
        for name in _NOT_THE_RESULT:
            del fields[name]
        flat = {**fields.pop("pace"), **fields.pop("shares"), **fields}
        told = {name.replace("_", " "): str(value) for name, value in flat.items()}
        return told | {"data": digest[:16], "starting weights": start[:16]}
