"""The arguments that commands share, and how their words become values."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.errors import BackendMissingError, OptionError

__all__ = [
    "EdgeName",
    "Input",
    "Json",
    "Opset",
    "Quiet",
    "Static",
    "Tensorrt",
    "parse_input",
    "parse_numbers",
    "parse_shape",
    "require_extra",
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
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results only.")]


_LAYOUTS = {"float32": "", "uint8": "NCHW", "uint8-nhwc": "NHWC"}


def require_extra() -> None:
    """Say in one line what to install, where only the base install is at hand."""
    import importlib.util

    for module in ("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors"):
        if importlib.util.find_spec(module) is None:
            raise BackendMissingError(
                f"export needs the package '{module}'. Run: pip install 'resnet-deploy[export]'"
            )


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
