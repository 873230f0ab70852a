"""The options of a command line that shape engines, the same in export and on the device."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.command_line import split_words
from runtime.engines.options import CURRENT_GPU, HARDWARE_COMPATIBILITIES, EngineOptions
from runtime.errors import OptionError

if TYPE_CHECKING:
    from runtime.building.orders import EngineRequest

__all__ = ["ENGINE_WORDS", "EngineArguments", "TimingCache"]

ENGINE_WORDS = {
    # Alone it is for what TensorRT-RTX builds for when it is not told: Ampere and newer.
    "--rtx": re.compile(rf"(?:sm\d+|{CURRENT_GPU})?"),
    "--profile": re.compile(r"[\dx]+|\w+:\w+:\w+"),
}
"""What stands behind options of several words."""

TimingCache = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where timings of kernels are kept between builds."),
]


@dataclass(frozen=True, kw_only=True)
class EngineArguments:
    """What a command line says of engines, as it is said."""

    rtx: Annotated[
        str,
        typer.Option(
            metavar="[SM ...]",
            help="Build with TensorRT-RTX, needs no GPU: sm75 sm80 sm86 sm89 sm120; Ampere and "
            "newer.",
        ),
    ] = ""
    profile: Annotated[
        str,
        typer.Option(
            metavar="MIN:OPT:MAX ...", help="Batches 1:8:32, or shapes 1x3x224x224:.., each one."
        ),
    ] = ""
    workspace: Annotated[
        int | None,
        typer.Option(min=1, metavar="MIB", help="Scratch memory a layer may use, in MiB."),
    ] = None
    level: Annotated[int, typer.Option(help="0 builds fastest, 5 searches longest.")] = 3
    tf32: Annotated[bool, typer.Option("--tf32", help="Let float32 round to 10 bits: faster.")] = (
        False
    )
    hardware_compatible: Annotated[
        str, typer.Option(metavar="LEVEL", help=f"One of {', '.join(HARDWARE_COMPATIBILITIES)}.")
    ] = "none"
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Runs in later versions, if slower.")
    ] = False
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave the weights out; they come from the ONNX file.")
    ] = False
    refit: Annotated[bool, typer.Option("--refit", help="Let other weights replace these.")] = False
    dla: Annotated[
        int | None, typer.Option(metavar="CORE", help="Run on this DLA of a Jetson.")
    ] = None

    def for_tensorrt(self, variants: Sequence[str] = ()) -> EngineRequest:
        """Return what it asks of TensorRT; of all variants, if none are named.

        Raises:
            OptionError: if the options cannot be had together.
        """
        return self._request("tensorrt", (), variants)

    def for_rtx(self, variants: Sequence[str] = ()) -> EngineRequest:
        """Return what it asks of TensorRT-RTX; of all variants, if none are named.

        Raises:
            OptionError: if TensorRT-RTX lacks one of the options.
        """
        return self._request("tensorrt_rtx", split_words(self.rtx), variants)

    def requests(self, *, tensorrt: bool) -> tuple[EngineRequest, ...]:
        """Return what it asks for: engines of TensorRT, of TensorRT-RTX, both or none.

        Raises:
            OptionError: if a library lacks one of the options.
        """
        own = (self.for_tensorrt(),) if tensorrt else ()
        return (*own, self.for_rtx()) if self.rtx else own

    def refuse(self) -> None:
        """Return if it says nothing of engines: where none are asked for, it would be for nothing.

        Raises:
            OptionError: naming the first option that was given.
        """
        for field in dataclasses.fields(self):
            if getattr(self, field.name) != field.default:
                option = field.name.replace("_", "-")
                raise OptionError(
                    f"--{option}: given without engines; expected --tensorrt, --rtx or --edge"
                )

    def _request(
        self, flavour: str, targets: tuple[str, ...], variants: Sequence[str]
    ) -> EngineRequest:
        from runtime.building.orders import EngineRequest

        options = EngineOptions(
            flavour=flavour,
            workspace_mib=self.workspace,
            optimization_level=self.level,
            tf32=self.tf32,
            hardware_compatibility=self.hardware_compatible,
            version_compatible=self.version_compatible,
            refit=self.refit,
            strip_weights=self.strip,
            dla_core=self.dla,
        )
        return EngineRequest(
            options=options,
            targets=targets,
            profiles=split_words(self.profile),
            variants=tuple(variants),
        )
