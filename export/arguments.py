"""The arguments that commands share, and how their words become values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from runtime.command_line import split_words
from runtime.errors import BackendMissingError, OptionError

__all__ = [
    "PRECISIONS",
    "PRECISION_WORDS",
    "CalibrationData",
    "CalibrationImages",
    "Channels",
    "Classes",
    "Crop",
    "EdgeName",
    "Ema",
    "EvalData",
    "EvalImages",
    "FromRgb",
    "Head",
    "Init",
    "Input",
    "Int8Rest",
    "Interpolation",
    "Json",
    "KeepFloat",
    "Labels",
    "ListModels",
    "MaxDrop",
    "Mean",
    "Method",
    "Name",
    "Onnx",
    "Opset",
    "Output",
    "ParityBudget",
    "Precisions",
    "Quiet",
    "Ranges",
    "Resize",
    "Seed",
    "Static",
    "Std",
    "Tensorrt",
    "Weights",
    "parse_input",
    "parse_numbers",
    "parse_precisions",
    "parse_shape",
    "require_extra",
]

Name = Annotated[str, typer.Argument(help="A name of --list, or auto: the weights tell.")]
Onnx = Annotated[bool, typer.Option("--onnx", help="Make an ONNX bundle.")]
ListModels = Annotated[bool, typer.Option("--list", help="Show every model.")]
Output = Annotated[
    Path | None, typer.Option(help="The bundle's folder.  [default: artifacts/NAME]")
]
Weights = Annotated[
    str, typer.Option(help="random, imagenet, or a checkpoint file; what suits, if not given.")
]
Ema = Annotated[bool, typer.Option("--ema", help="Take the file's average over steps (EMA).")]
Seed = Annotated[int, typer.Option(help="Of random weights.")]
Init = Annotated[
    str, typer.Option(help="Law of random weights: scattered, kaiming, torch, normal.")
]
Classes = Annotated[int | None, typer.Option(min=1, help="Number of classes.")]
Channels = Annotated[int | None, typer.Option(min=1, help="Number of input channels.")]
FromRgb = Annotated[
    str, typer.Option(help="RGB weights for --channels N: repeat, mean, sum, luma, adapter.")
]
Head = Annotated[str, typer.Option(help="What it gives: logits, features or stages.")]
Labels = Annotated[Path | None, typer.Option(help="Text file, one label a line.")]
Resize = Annotated[int | None, typer.Option(help="Shorter side, in pixels.")]
Crop = Annotated[int | None, typer.Option(help="Side of the centre crop, in pixels.")]
Mean = Annotated[str, typer.Option(help="M[,M,M], for values of 0 to 1.")]
Std = Annotated[str, typer.Option(help="S[,S,S], for values of 0 to 1.")]
Interpolation = Annotated[str | None, typer.Option(help="bilinear or bicubic.")]
ParityBudget = Annotated[
    float, typer.Option(min=0, help="Cost of the parity grid, in 10^9 multiply-accumulates.")
]
Tensorrt = Annotated[bool, typer.Option("--tensorrt", help="Build with TensorRT; needs a GPU.")]
EdgeName = Annotated[
    str, typer.Option(metavar="KIND", help="Pack for a device: jetson, rtx or generic.")
]
Opset = Annotated[int, typer.Option(help="ONNX opset, 18 to 23.")]
Static = Annotated[str, typer.Option(help="Fix the shape: BATCHxCHANNELSxHEIGHTxWIDTH.")]
Input = Annotated[
    str,
    typer.Option(help="float32, normalised; or pixels: uint8, uint8-nhwc."),
]
Precisions = Annotated[
    str,
    typer.Option(metavar="KIND ...", help="fp32 fp16 int8; what is not float32 is made beside it."),
]
CalibrationData = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Images the model will meet; for int8.")
]
EvalData = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Images to judge by; a folder a class gives top-1."),
]
CalibrationImages = Annotated[int, typer.Option(help="To calibrate on, at most.")]
EvalImages = Annotated[int, typer.Option(min=1, help="To judge by, at most.")]
Method = Annotated[
    str, typer.Option(help="Of ranges: minmax, percentile, entropy, mse, tails, or auto: the best.")
]
Ranges = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Ranges measured before, in the place of images."),
]
Int8Rest = Annotated[str, typer.Option(help="What is not int8 for TensorRT: fp32 or fp16.")]
KeepFloat = Annotated[
    str, typer.Option(metavar="auto|NODE ...", help="What stays in float in int8.")
]
MaxDrop = Annotated[float, typer.Option(help="Points of top-1 that --keep-float auto may lose.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results only.")]


PRECISIONS = ("fp32", "fp16", "int8")
PRECISION_WORDS = {
    # Any type's name, so that one that is not made here arrives where it is refused.
    "--precision": re.compile(r"(?:fp|bf|tf|u?int|w|float)\d+\w*"),
    "--keep-float": re.compile(r"[\w.][\w./:-]*"),
}
"""What stands behind options of several words."""

_LAYOUTS = {"float32": "", "uint8": "NCHW", "uint8-nhwc": "NHWC"}


def require_extra() -> None:
    """Say in one line what to install, where only the base install is at hand."""
    import importlib.util

    for module in ("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors"):
        if importlib.util.find_spec(module) is None:
            raise BackendMissingError(
                f"export needs the package '{module}'. Run: pip install 'resnet-deploy[export]'"
            )


def parse_precisions(joined: str) -> tuple[str, ...]:
    """Return the precisions that --precision names."""
    words = split_words(joined)
    unknown = [word for word in words if word not in PRECISIONS]
    if unknown or not words:
        raise OptionError(
            f"--precision: given '{' '.join(unknown)}'; expected some of {' '.join(PRECISIONS)}"
        )
    return words


def parse_input(text: str) -> str:
    """Return the layout of the pixels that --input asks for; "" for normalised images."""
    if text not in _LAYOUTS:
        raise OptionError(f"--input: given '{text}'; expected one of {', '.join(_LAYOUTS)}")
    return _LAYOUTS[text]


def parse_numbers(option: str, text: str) -> tuple[float, ...] | None:
    """Return the numbers of an option; None where it is not given."""
    if not text:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise OptionError(
            f"{option}: given '{text}'; expected numbers with commas between, such as 0.5,0.5,0.5"
        ) from None


def parse_shape(text: str) -> tuple[int, int, int, int] | None:
    """Return [batch, channels, height, width] of --static; None where it is not given."""
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(
            f"--static: given '{text}'; expected BATCHxCHANNELSxHEIGHTxWIDTH, such as 1x3x224x224"
        )
    batch, channels, height, width = map(int, parts)
    return batch, channels, height, width
