"""The options of a command line that say which precisions to make, and of what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.arguments import PRECISION_WORDS, Precisions, parse_precisions
from runtime.command_line import split_words

if TYPE_CHECKING:
    from export.variants.order import PrecisionOrder

__all__ = ["VARIANT_WORDS", "PrecisionArguments"]

VARIANT_WORDS = {**PRECISION_WORDS, "--keep-float": re.compile(r"[\w.][\w./:,-]*")}
"""What stands behind options of several words."""


@dataclass(frozen=True, kw_only=True)
class PrecisionArguments:
    """What a command line says of precision, as it is said."""

    precision: Precisions = "fp32"
    calibration_data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images the model will meet; for int8.")
    ] = None
    calibration_images: Annotated[int, typer.Option(help="To calibrate on, at most.")] = 512
    method: Annotated[
        str,
        typer.Option(
            help="How ranges are chosen: minmax, percentile, entropy, mse, tails or auto."
        ),
    ] = "auto"
    ranges: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ranges measured before, on these images or others."),
    ] = None
    eval_data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images to judge by; a folder a class gives top-1."),
    ] = None
    eval_images: Annotated[int, typer.Option(help="To judge by, at most.")] = 256
    int8_rest: Annotated[str, typer.Option(help="What is not int8 for TensorRT: fp32 or fp16.")] = (
        "fp32"
    )
    keep_float: Annotated[
        str, typer.Option(metavar="auto|NODE ...", help="What stays in float in int8.")
    ] = ""
    max_drop: Annotated[
        float, typer.Option(help="Points of top-1 that --keep-float auto may lose.")
    ] = 0.1

    def order(self) -> PrecisionOrder:
        """Return which precisions to make.

        Raises:
            OptionError: if an option cannot work, or not with another.
        """
        from export.variants.order import PrecisionOrder

        return PrecisionOrder(
            precisions=parse_precisions(self.precision),
            calibration_data=self.calibration_data,
            ranges=self.ranges,
            eval_data=self.eval_data,
            images=self.calibration_images,
            eval_images=self.eval_images,
            method=self.method,
            int8_rest=self.int8_rest,
            keep_float=split_words(self.keep_float),
            max_drop=self.max_drop,
        )
