"""The arguments that commands share, and how their words become values."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from export.opsets import OPSETS
from runtime.command_line import split_words
from runtime.engines.profile import MOST_VALUES
from runtime.errors import OptionError
from runtime.require_packages import require_packages
from runtime.whole_number import whole_number

__all__ = [
    "PRECISIONS",
    "PRECISION_WORDS",
    "Channels",
    "Classes",
    "Crop",
    "Data",
    "EdgeName",
    "Input",
    "Name",
    "Opset",
    "Precisions",
    "Resize",
    "Static",
    "Tensorrt",
    "parse_input",
    "parse_precisions",
    "parse_shape",
    "require_extra",
]

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name of --list, or auto: the weights tell.")
]
Classes = Annotated[int | None, typer.Option(min=1, help="Number of classes.")]
Channels = Annotated[int | None, typer.Option(min=1, help="Number of input channels.")]
Resize = Annotated[int | None, typer.Option(help="Shorter side, in pixels.")]
Crop = Annotated[int | None, typer.Option(help="Side of the centre crop, in pixels.")]
Tensorrt = Annotated[bool, typer.Option("--tensorrt", help="Build with TensorRT; needs a GPU.")]
EdgeName = Annotated[
    str, typer.Option(metavar="KIND", help="Pack for a device: jetson, rtx or generic.")
]
Data = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER|CSV",
        help="Labelled images: a folder for each class, or a CSV file of path,label.",
        show_default=False,
    ),
]
Opset = Annotated[int, typer.Option(min=OPSETS[0], max=OPSETS[-1], help="ONNX opset.")]
Static = Annotated[str, typer.Option(help="Fix the shape: BATCHxCHANNELSxHEIGHTxWIDTH.")]
Input = Annotated[str, typer.Option(help="float32, normalised; or pixels: uint8, uint8-nhwc.")]
Precisions = Annotated[
    str,
    typer.Option(metavar="KIND ...", help="fp32 fp16 int8; what is not float32 is made beside it."),
]

PRECISIONS = ("fp32", "fp16", "int8")
PRECISION_WORDS = {
    # Any type's name, so that one that is not made here arrives where it is refused.
    "--precision": re.compile(r"(?:(?:fp|bf|tf|u?int|w|float)\d+\w*,?)+", re.IGNORECASE),
}
"""What stands behind --precision."""

_PACKAGES = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors")

_LAYOUTS = {"float32": "", "uint8": "NCHW", "uint8-nhwc": "NHWC"}


def require_extra() -> None:
    """Say in one line what to install, where only the base install is at hand.

    Raises:
        BackendMissingError: naming the first package that is missing.
    """
    require_packages("export", _PACKAGES, "export")


def parse_precisions(joined: str) -> tuple[str, ...]:
    """Return the precisions that --precision names.

    Raises:
        OptionError: if one is none of PRECISIONS, or there is none.
    """
    words = split_words(joined)
    unknown = [word for word in words if word not in PRECISIONS]
    if unknown or not words:
        raise OptionError(
            f"--precision: given '{' '.join(unknown)}'; expected some of {' '.join(PRECISIONS)}"
        )
    return words


def parse_input(text: str) -> str:
    """Return the layout of the pixels that --input asks for; "" for normalised images.

    Raises:
        OptionError: if it asks for anything else.
    """
    if text not in _LAYOUTS:
        raise OptionError(f"--input: given '{text}'; expected one of {', '.join(_LAYOUTS)}")
    return _LAYOUTS[text]


def parse_shape(text: str) -> tuple[int, int, int, int] | None:
    """Return [batch, channels, height, width] of --static; None where it is not given.

    Raises:
        OptionError: if it is not four numbers above 0, or of more values than TensorRT takes.
    """
    if not text:
        return None
    parts = text.lower().split("x")
    numbers = [number for part in parts if (number := whole_number(part))]
    if len(parts) != 4 or len(numbers) != 4:
        raise OptionError(
            f"--static: given '{text}'; expected BATCHxCHANNELSxHEIGHTxWIDTH, such as 1x3x224x224"
        )
    if math.prod(numbers) > MOST_VALUES:
        raise OptionError(
            f"--static: given '{text}'; expected at most {MOST_VALUES:,} values in all images of a "
            "batch, which is what convolutions take"
        )
    batch, channels, height, width = numbers
    return batch, channels, height, width
