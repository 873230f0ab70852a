"""The CIFAR family of He et al., 2015, section 4.2: depth 6n + 2, three stages of n basic blocks.

A 3x3 stem, 16-32-64 wide, no max-pool: 32x32 images reach the head as 8x8 maps. The paper puts
parameter-free shortcuts (option A, "zero-pad") everywhere in this family, and so does the
catalogue; "projection" gives option B, which some published checkpoints have.
"""

from __future__ import annotations

from export.models.architecture import SMALL_STEM, Architecture, Shortcut
from runtime.errors import OptionError

__all__ = ["CIFAR_WIDTHS", "cifar_architecture"]

CIFAR_WIDTHS = (16, 32, 64)


def cifar_architecture(depth: int, shortcut: Shortcut = "zero-pad") -> Architecture:
    """Return the architecture with the given number of weighted layers.

    Raises:
        OptionError: if depth is not 6n + 2 with n >= 1.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise OptionError(f"CIFAR ResNet: given depth {depth}; expected 6n + 2: 8, 14, 20, 32, ...")
    return Architecture(
        block="basic",
        depths=(blocks, blocks, blocks),
        widths=CIFAR_WIDTHS,
        stem=SMALL_STEM,
        shortcut=shortcut,
    )
