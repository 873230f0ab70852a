"""Divergence: where a variant leaves PyTorch, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass

from export.parity.report import WeightParity

__all__ = ["Divergence", "Tensor"]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that both have, and how far apart they are there."""

    module: str
    """By whose name it is known: "layer3.0.conv2", or a block's "layer3.0"."""
    border: bool
    """Every path goes through it; the others are inside of blocks that were looked into."""
    sqnr_db: float
    float32_sqnr_db: float
    """What float32 PyTorch reaches."""
    noise_ratio: float
    """Of its worst channel: the error as a multiple of float32 PyTorch's own."""
    worst_channel: int
    standing_out: float
    """How many times the median channel's that is."""
    fall_db: float
    """How far the SQNR is below that of the tensors it is computed from."""
    scaled: bool
    """Its channels are equalized; their factors were taken out."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Where a variant leaves PyTorch."""

    bundle: str
    model: str
    variant: str
    precision: str
    images: int
    shown: str
    """What they were, for a person."""
    skipped: tuple[str, ...]
    """Images that could not be read, and why, a line each."""
    same_weights: bool
    """The module's weights are, by their hash, those the bundle was exported from."""
    tensors: tuple[Tensor, ...]
    """In the order they are computed."""
    first: str
    """The module where it leaves PyTorch; "" if it does so nowhere, or nowhere in particular."""
    worst: str
    """The module whose tensor has the lowest SQNR."""
    answer_db: float
    """The SQNR of the answer, as the graph is written."""
    answer_as_run_db: float
    """Likewise, as ONNX Runtime optimizes and runs the graph on this machine's CPU."""
    weights: WeightParity | None
    """How far the graph's weights are from the module's; None but for float32."""
    not_compared: tuple[str, ...]
    """What bears one name in both and is not the same tensor."""

    def __getitem__(self, module: str) -> Tensor:
        """Return the tensor of that module."""
        return next(tensor for tensor in self.tensors if tensor.module == module)

    @property
    def left(self) -> bool:
        """True if the variant leaves PyTorch where its precision does not explain it."""
        return bool(self.first) or (self.weights is not None and not self.weights.passed)
