"""Share: how many of how many. The manifest has some, so this module is small."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Share"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of how many, and between what the true share lies."""

    count: int
    of: int
    low: float
    """Lower end of the interval; 0 of nothing."""
    high: float
    """Upper end of the interval; 1 of nothing."""

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing."""
        return self.count / self.of if self.of else 0.0
