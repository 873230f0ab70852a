"""Splits labelled things into train, val and test, every group in the same shares.

    order in a group   by the SHA-256 of each thing's key
    test               the first round(count * shares.test), val the next round(count * shares.val)

The order comes from the keys alone: no list order, no generator and no library version changes it,
and a thing that is added moves at most one other of its group across a border.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import OptionError

__all__ = ["PARTS", "Shares", "split"]

PARTS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What is kept from training, as shares of 1.

    Raises:
        OptionError: if nothing is left to train on, or nothing is there to validate on.
    """

    val: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise OptionError(
                f"split: given {self.val:g} for val and {self.test:g} for test; "
                "expected shares of 1 that leave some for train, such as 0.15 and 0.15"
            )


def split(groups: Sequence[str], keys: Sequence[bytes], shares: Shares) -> tuple[str, ...]:
    """Return the part of each thing: "train", "val" or "test".

    Args:
        groups: what is to be split in equal shares; the label, as a rule.
        keys: what decides of each thing; equal keys of a group stand side by side.
        shares: of val and test. A part with a share above 0 gets at least one thing of each group.

    Raises:
        OptionError: if a group is too small to be in every part.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    parts = ["train"] * len(groups)
    for group, indices in members.items():
        ordered = sorted(indices, key=lambda index: hashlib.sha256(keys[index]).digest())
        test, val = (_count(len(ordered), share) for share in (shares.test, shares.val))
        if len(ordered) <= test + val:
            raise OptionError(
                f"'{group}' has {len(ordered)} images, too few to split; "
                f"expected at least {test + val + 1}"
            )
        for index in ordered[:test]:
            parts[index] = "test"
        for index in ordered[test : test + val]:
            parts[index] = "val"
    return tuple(parts)


def _count(total: int, share: float) -> int:
    return max(1, round(total * share)) if share else 0
