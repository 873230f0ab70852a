"""What is asked for in the way of precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.survey import FEWEST
from runtime.errors import OptionError

if TYPE_CHECKING:
    from calibration.images import ImageFile
    from calibration.order import Order

__all__ = ["PrecisionOrder"]

RESTS = ("fp32", "fp16")
AUTOMATIC = "auto"
"""Of nodes to keep in float: as few as the accuracy needs."""


@dataclass(frozen=True, kw_only=True)
class PrecisionOrder:
    """Which precisions to make beside float32, and of which images.

    Raises:
        OptionError: if the parts do not fit each other.
    """

    precisions: tuple[str, ...] = ("fp32",)
    """Of export.arguments.PRECISIONS."""
    calibration_data: Path | None = None
    """Folder of images the model will meet."""
    ranges: Path | None = None
    """A file of `python -m calibration`: of these images, or in their place."""
    eval_data: Path | None = None
    """Folder of images to judge by; a part of the calibration folder if not given."""
    images: int = 512
    """To calibrate on, at most."""
    eval_images: int = 256
    """To judge by, at most."""
    method: str = "auto"
    """How ranges are chosen."""
    int8_rest: str = "fp32"
    """What is not int8 in the TensorRT graph of int8."""
    keep_float: tuple[str, ...] = ()
    """Nodes that stay in float in int8, by name; or AUTOMATIC alone."""
    max_drop: float = 0.1
    """Points of top-1 that AUTOMATIC may lose."""

    def __post_init__(self) -> None:
        if self.int8_rest not in RESTS:
            raise OptionError(
                f"--int8-rest: given '{self.int8_rest}'; expected one of {', '.join(RESTS)}"
            )
        if not 0 <= self.max_drop <= 100:
            raise OptionError(f"--max-drop: given {self.max_drop}; expected points, 0 to 100")
        if self.eval_images < FEWEST:
            raise OptionError(
                f"--eval-images: given {self.eval_images}; expected at least {FEWEST} to judge by"
            )
        if self.images < FEWEST:
            raise OptionError(
                f"--calibration-images: given {self.images}; expected at least {FEWEST}"
            )
        for option, needed in self._idle():
            raise OptionError(f"{option}: given without {needed}; expected both, or neither")
        if "int8" in self.precisions:
            self._check_int8()
        self._refuse_missing()

    @property
    def reduced(self) -> bool:
        """Whether anything but float32 is asked for."""
        return any(name != "fp32" for name in self.precisions)

    @property
    def searches(self) -> bool:
        """Whether the nodes that stay in float are to be found out."""
        return self.keep_float == (AUTOMATIC,)

    def calibration(self, checkpoint: Path, without: tuple[ImageFile, ...]) -> Order:
        """Return the order of the calibration."""
        from calibration.order import Order

        assert self.calibration_data is not None  # _check_int8
        return Order(
            data=self.calibration_data,
            checkpoint=checkpoint,
            images=self.images,
            method=self.method,
            without=without,
        )

    def _check_int8(self) -> None:
        if self.calibration_data is None and self.ranges is None:
            raise OptionError(
                "int8 needs images of what the model will see, to measure its ranges on; give "
                "--calibration-data FOLDER, better 300 images or more"
            )
        if self.calibration_data is None and self.eval_data is None:
            raise OptionError(
                "--ranges: given without images to judge by; expected --eval-data FOLDER with it"
            )
        if self.calibration_data is None and self.searches:
            raise OptionError(
                "--keep-float auto: given without images; expected --calibration-data FOLDER, "
                "whose images it searches with"
            )
        if self.calibration_data is not None:
            self.calibration(Path(), ())  # which refuses what it cannot work with
        if AUTOMATIC in self.keep_float and not self.searches:
            raise OptionError("--keep-float: given auto and names; expected auto, or names")

    def _refuse_missing(self) -> None:
        for option, folder in (
            ("--calibration-data", self.calibration_data),
            ("--eval-data", self.eval_data),
        ):
            if folder is not None and not folder.is_dir():
                raise OptionError(
                    f"{option}: there is no folder '{folder}'; expected one with images"
                )
        if self.ranges is not None and not self.ranges.is_file():
            raise OptionError(
                f"--ranges: there is no file '{self.ranges}'; make it with: "
                "python -m calibration BUNDLE --data FOLDER"
            )

    def _idle(self) -> Iterator[tuple[str, str]]:
        """Yield each option that is given and would change nothing, and what it goes with."""
        int8, images = "int8" in self.precisions, self.calibration_data is not None
        judged = self.reduced and (images or self.eval_data is not None)
        given = {each.name for each in fields(self) if getattr(self, each.name) != each.default}
        for name, option, used, needed in (
            ("calibration_data", "--calibration-data", self.reduced, "--precision int8"),
            ("eval_data", "--eval-data", self.reduced, "--precision fp16 or int8"),
            ("ranges", "--ranges", int8, "--precision int8"),
            ("keep_float", "--keep-float", int8, "--precision int8"),
            ("int8_rest", "--int8-rest", int8, "--precision int8"),
            ("method", "--method", int8 and images, "--precision int8 and --calibration-data"),
            ("images", "--calibration-images", images, "--calibration-data"),
            ("eval_images", "--eval-images", judged, "--eval-data"),
            ("max_drop", "--max-drop", self.searches, "--keep-float auto"),
        ):
            if name in given and not used:
                yield option, needed
