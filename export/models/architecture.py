"""Architecture: what makes one ResNet differ from another, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from runtime.errors import OptionError

__all__ = ["LARGE_STEM", "SMALL_STEM", "Architecture", "Shortcut", "Stem"]

Shortcut: TypeAlias = Literal["projection", "zero-pad"]
"""What stands beside a block that changes shape; see export.models.shortcut."""


@dataclass(frozen=True, kw_only=True)
class Stem:
    """The layers before the first stage: a convolution, and a 3x3 max-pool of stride 2 or none."""

    kernel: int
    stride: int
    pool: bool


LARGE_STEM = Stem(kernel=7, stride=2, pool=True)
"""For photographs: the first stage sees a quarter of the side."""

SMALL_STEM = Stem(kernel=3, stride=1, pool=False)
"""For images of some 8 to 64 pixels: the first stage sees all of them."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What makes one ResNet differ from another, apart from its input channels and classes.

    Raises:
        OptionError: if stages and widths disagree in number, or basic blocks are to be grouped.
    """

    block: Literal["basic", "bottleneck"]
    depths: tuple[int, ...]
    """Blocks in each stage; every stage but the first halves height and width."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Width of each stage's blocks; the stem has the first."""
    groups: int = 1
    width_per_group: int = 64
    stem: Stem = LARGE_STEM
    shortcut: Shortcut = "projection"
    """Used where a block changes the number of channels or the size of the maps."""

    def __post_init__(self) -> None:
        if not self.depths or len(self.depths) != len(self.widths):
            raise OptionError(
                f"ResNet: given depths {self.depths} and widths {self.widths}; "
                "expected one of each per stage"
            )
        if self.block == "basic" and (self.groups, self.width_per_group) != (1, 64):
            raise OptionError(
                f"ResNet: given groups {self.groups} and width_per_group {self.width_per_group}; "
                "basic blocks have groups 1 and width_per_group 64 only, bottlenecks have any"
            )

    @property
    def expansion(self) -> int:
        """How many times wider a block is outside than inside."""
        return 4 if self.block == "bottleneck" else 1
