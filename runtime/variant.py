"""Variant: one form of a bundle's model, as the manifest tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.judgement import Judgement
from runtime.precision import PrecisionPromise, Work, shares

__all__ = ["ORACLE", "TensorInfo", "Variant"]

ORACLE = "int8.trt"
"""The variant that is meant for TensorRT: on a CPU its answers are the engine's, and its time means
nothing."""


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """The graph's input or output."""

    name: str
    dtype: str
    """ONNX's name of it in small letters: "float", "float16", "uint8"."""
    shape: tuple[str, ...]
    """One entry a dimension: a number, or the name of a dynamic dimension."""

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The shape in numbers; None where a dimension is dynamic."""
        return tuple(int(size) if size.isdigit() else None for size in self.shape)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(self.shape)}]"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One form of the model that can run."""

    file: str
    precision: str
    """"float32", "float16" or "int8"."""
    opset: int
    input: TensorInfo
    output: TensorInfo
    golden_tolerances: tuple[float, ...]
    """For each golden case: the largest absolute logit difference from PyTorch that is accepted."""
    more_outputs: tuple[TensorInfo, ...] = ()
    """What a head of several outputs gives beside the first; a classifier has none."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """All outputs of the graph, in its order."""
        return (self.output, *self.more_outputs)

    convolutions: PrecisionPromise | None = None
    """What runs in which precision, which an engine is held to; None where TensorRT does not read
    the graph as it is meant, so that no engine is to be built from it."""
    work: Work | None = None
    """What runs in which precision, by layer; None where nobody counted."""
    kept_float: dict[str, str] = field(default_factory=dict)
    """Nodes that stay in a wider type than the variant's own, by name, each with the reason."""
    kept_float_slowdown: float | None = None
    """How many times as long an image takes as with nothing but the head in float, by ONNX Runtime
    on the CPU that exported it; None where nothing else is, or that CPU does not run it."""
    placement: str = ""
    """Whose integer kernels the graph is laid out for: "tensorrt", "onnxruntime" or "onnxruntime
    without VNNI"; empty where nothing is quantized."""
    judgement: Judgement | None = None
    """How it did on real images; None for float32, which parity.json tells about."""

    @property
    def work_shares(self) -> Mapping[str, float]:
        """What part of its work is in which precision, 0 to 1; empty where nobody counted."""
        if self.work is not None:
            return self.work.shares
        return shares(self.convolutions.macs) if self.convolutions is not None else {}
