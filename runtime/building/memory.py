"""What memory an engine takes to be built, as far as it can be told beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.engines.profile import Profile

__all__ = ["EngineMemory", "activation_mib", "estimate_memory"]

_LARGEST_ACTIVATIONS = 22
"""Bytes of activations alive at once per byte of float32 images: ResNeXt-101 64x4d in its first
stage, 256 channels in, within and out at a quarter of the side; no other ResNet needs more."""

_COPIES_OF_WEIGHTS = 4
"""While an engine is built: the file, the parser's, the builder's on the GPU, the plan."""

_LIBRARIES_MIB = 1024
"""What TensorRT and CUDA take themselves: their code, a context, the kernels that are tried."""


@dataclass(frozen=True, kw_only=True)
class EngineMemory:
    """MiB, estimated from above but for the workspace, which TensorRT chooses unless limited."""

    weights: int
    activations: int

    @property
    def to_build(self) -> int:
        """What has to be free where GPU and processor share their memory."""
        return _COPIES_OF_WEIGHTS * self.weights + self.activations + _LIBRARIES_MIB


def estimate_memory(onnx_bytes: int, profiles: tuple[Profile, ...]) -> EngineMemory:
    """Return what an engine of an ONNX file of that size takes."""
    largest = max((activation_mib(profile) for profile in profiles), default=0)
    return EngineMemory(weights=(onnx_bytes >> 20) + 1, activations=largest)


def activation_mib(profile: Profile) -> int:
    """Return what the activations of the profile's largest batch take at most."""
    batch, channels, height, width = profile.largest
    return (batch * channels * height * width * 4 * _LARGEST_ACTIVATIONS) >> 20
