"""EngineOptions: everything that shapes a TensorRT engine, but for the graph itself.

Precision is not among them: it is a property of the graph. Which options work together is decided
here, before anything slow begins; whether this machine and this TensorRT can fulfil them, in build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.engines.profile import Profile
from runtime.errors import OptionError

__all__ = [
    "CURRENT_GPU",
    "HARDWARE_COMPATIBILITIES",
    "SMALLEST_WORKSPACE_MIB",
    "TURING",
    "EngineOptions",
]

HARDWARE_COMPATIBILITIES = ("none", "ampere_plus", "same_compute_capability")
"""Where else an engine of the flavour "tensorrt" runs: TensorRT's HardwareCompatibilityLevel."""

CURRENT_GPU = "current"
"""As a target: the GPU of this machine, whatever it is."""

TURING = "sm75"
"""As a target: it gets an engine of its own."""

SMALLEST_WORKSPACE_MIB = 64
"""Less than that leaves convolutions of large images without any kernel."""

_MOST_MIB = 2**24
"""No machine has 16 TiB of it, and TensorRT counts bytes in 64 bits."""

_SM = re.compile(r"sm\d{2,3}")
_DLA_LARGEST_BATCH = 4096
_DLA_LARGEST_SIDE = 8192


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How to build an engine.

    Raises:
        OptionError: if a value is out of range, or two of them cannot be had together.
    """

    flavour: str = "tensorrt"
    """The library that builds and runs it: "tensorrt" or "tensorrt_rtx"."""
    profiles: tuple[Profile, ...] = ()
    """At least one for a graph with dynamic dimensions; none for a static graph."""
    workspace_mib: int | None = None
    """What a layer may use besides weights and activations; None lets it use all the memory."""
    optimization_level: int = 3
    """0 builds fastest, 5 searches longest; 3 is TensorRT's own."""
    tf32: bool = False
    """Whether float32 convolutions may round their inputs to 10 bits: faster, and off by 1e-3."""
    hardware_compatibility: str = "none"
    """One of HARDWARE_COMPATIBILITIES."""
    version_compatible: bool = False
    """Runs in later versions too, through the lean runtime, which has to be installed there: no
    engine of ours carries host code."""
    refit: bool = False
    """Its weights can be replaced by others."""
    strip_weights: bool = False
    """Leaves the weights out; they are put back from the ONNX file when the engine is opened."""
    dla_core: int | None = None
    """The deep learning accelerator to run on; None runs on the GPU."""
    gpu_fallback: bool = True
    """Whether layers that a DLA cannot run may run on the GPU."""
    target_sms: tuple[str, ...] = ()
    """For "tensorrt_rtx": the GPUs to build for, such as "sm86", or CURRENT_GPU alone. None given
    means Ampere and newer."""

    def __post_init__(self) -> None:
        if self.workspace_mib is not None and not 1 <= self.workspace_mib <= _MOST_MIB:
            raise OptionError(
                f"workspace: given {self.workspace_mib} MiB; expected 1 to {_MOST_MIB:,}"
            )
        if not 0 <= self.optimization_level <= 5:
            raise OptionError(
                f"optimization level: given {self.optimization_level}; expected 0 to 5"
            )
        if self.hardware_compatibility not in HARDWARE_COMPATIBILITIES:
            raise OptionError(
                f"hardware compatibility: given '{self.hardware_compatibility}'; expected one of "
                f"{', '.join(HARDWARE_COMPATIBILITIES)}"
            )
        if self.flavour == "tensorrt_rtx":
            self._check_rtx()
        elif self.target_sms:
            raise OptionError(
                f"target: given {', '.join(self.target_sms)}; TensorRT builds for the GPU it runs "
                "on. To choose a GPU, build with TensorRT-RTX: --rtx"
            )
        if self.dla_core is not None:
            self._check_dla()

    def _check_rtx(self) -> None:
        unavailable = {
            "--hardware-compatible": self.hardware_compatibility != "none",
            "--version-compatible": self.version_compatible,
            "--dla": self.dla_core is not None,
        }
        for option, given in unavailable.items():
            if given:
                raise OptionError(
                    f"{option} does not exist in TensorRT-RTX, whose engines run on every GPU they "
                    "were built for, in the very same version"
                )
        for target in self.target_sms:
            if target != CURRENT_GPU and not _SM.fullmatch(target):
                raise OptionError(
                    f"target: given '{target}'; expected sm86 or the like, or current"
                )
        if len(set(self.target_sms)) != len(self.target_sms):
            raise OptionError(f"target: given {', '.join(self.target_sms)}; expected each once")
        for alone in (TURING, CURRENT_GPU):
            if alone in self.target_sms and len(self.target_sms) > 1:
                raise OptionError(
                    f"target: given {', '.join(self.target_sms)}; TensorRT-RTX builds for {alone} "
                    "only alone. Build one engine for it and another for the rest"
                )

    def _check_dla(self) -> None:
        if self.dla_core is not None and self.dla_core < 0:
            raise OptionError(f"DLA core: given {self.dla_core}; expected 0 or more")
        for profile in self.profiles:
            batch, _, *sides = profile.largest
            too_large = batch > _DLA_LARGEST_BATCH or max(sides) > _DLA_LARGEST_SIDE
            if not profile.is_fixed or too_large:
                raise OptionError(
                    f"DLA: given the profile {profile}; a DLA runs one fixed shape, of at most "
                    f"{_DLA_LARGEST_BATCH} images and {_DLA_LARGEST_SIDE} pixels a side"
                )
