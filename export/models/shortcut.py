"""Shortcuts that change shape: what stands beside a block whose output is not like its input.

He et al., "Deep Residual Learning", 2015, section 3.3, options A (ZeroPad) and B (projection).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["NormLayer", "ZeroPad", "projection"]

NormLayer: TypeAlias = Callable[[int], nn.Module]
"""Makes the normalisation of a given number of channels."""


def projection(inputs: int, outputs: int, stride: int, norm_layer: NormLayer) -> nn.Module:
    """Return a 1x1 convolution and its normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
    return nn.Sequential(conv, norm_layer(outputs))


class ZeroPad(nn.Module):
    """A shortcut without parameters.

    Every stride-th pixel is kept; the channels that are missing are zeros, half of them before the
    input's channels and half behind.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__()
        before = (outputs - inputs) // 2
        self.padding = (0, 0, 0, 0, before, outputs - inputs - before)
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return float [batch, outputs, ceil(height / stride), ceil(width / stride)]."""
        # A pool over single pixels, not a strided slice: its output size is written as the
        # convolution's beside it, so the two stay addable while height and width are symbols.
        kept = functional.max_pool2d(maps, kernel_size=1, stride=self.stride)
        return functional.pad(kept, self.padding)
