"""The options of a command line that shape engines, the same in export and on the device."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.command_line import NO_WORDS
from runtime.engines.options import CURRENT_GPU, HARDWARE_COMPATIBILITIES, EngineOptions

if TYPE_CHECKING:
    from runtime.building.orders import EngineRequest

__all__ = [
    "GPU_TARGETS",
    "Dla",
    "HardwareCompatible",
    "Level",
    "Profiles",
    "Refit",
    "Rtx",
    "Strip",
    "Tf32",
    "TimingCache",
    "VersionCompatible",
    "Workspace",
    "engine_requests",
    "split_targets",
]

GPU_TARGETS = re.compile(rf"(?:sm\d+|{CURRENT_GPU})?")
"""What stands behind --rtx. Alone it is for what TensorRT-RTX builds for when it is not told:
Ampere and newer."""

Rtx = Annotated[
    str,
    typer.Option(
        "--rtx",
        metavar="[SM ...]",
        help="Build with TensorRT-RTX, needs no GPU: sm75 sm80 sm86 sm89 sm120; Ampere and newer.",
    ),
]
Profiles = Annotated[
    list[str],
    typer.Option(
        "--profile",
        metavar="MIN:OPT:MAX",
        help="Batches 1:8:32, or shapes 1x3x224x224:..; several make several.",
        show_default=False,
    ),
]
Workspace = Annotated[
    int | None, typer.Option(min=1, metavar="MIB", help="What a layer may use besides, in MiB.")
]
Level = Annotated[int, typer.Option(help="0 builds fastest, 5 searches longest.")]
Tf32 = Annotated[bool, typer.Option("--tf32", help="Let float32 round to 10 bits: faster.")]
HardwareCompatible = Annotated[
    str, typer.Option(metavar="LEVEL", help=f"One of {', '.join(HARDWARE_COMPATIBILITIES)}.")
]
VersionCompatible = Annotated[
    bool, typer.Option("--version-compatible", help="Runs in later versions, if slower.")
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Leave the weights out; they come from the ONNX file.")
]
Refit = Annotated[bool, typer.Option("--refit", help="Let other weights replace these.")]
Dla = Annotated[int | None, typer.Option(metavar="CORE", help="Run on this DLA of a Jetson.")]
TimingCache = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where timings of kernels are kept between builds."),
]


def split_targets(rtx: str) -> tuple[str, ...]:
    """Return the GPUs in what `join_words` made of them; none stands for Ampere and newer."""
    return () if rtx == NO_WORDS else tuple(rtx.split(","))


def engine_requests(
    options: EngineOptions, profiles: Sequence[str], rtx: str, *, tensorrt: bool
) -> tuple[EngineRequest, ...]:
    """Return what a command line asks for: engines of TensorRT, of TensorRT-RTX, both or none.

    Args:
        options: all but flavour, profiles and targets.
        profiles: as `parse_profile` takes them.
        rtx: what `join_words` made of --rtx; empty if it is not given.
        tensorrt: whether --tensorrt is given.

    Raises:
        OptionError: if TensorRT-RTX lacks one of the options.
    """
    from runtime.building.orders import EngineRequest

    requests = []
    if tensorrt:
        requests.append(EngineRequest(options=options, profiles=tuple(profiles)))
    if rtx:
        requests.append(
            EngineRequest(
                options=dataclasses.replace(options, flavour="tensorrt_rtx"),
                targets=split_targets(rtx),
                profiles=tuple(profiles),
            )
        )
    return tuple(requests)
