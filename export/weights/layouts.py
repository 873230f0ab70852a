"""Layouts: the names that others give to the layers of the same ResNet, and what they are here.

A layout is a renaming and nothing else. torchvision's names are those of the definition here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from runtime.errors import CheckpointError

__all__ = ["LAYOUTS", "Layout", "Renamed", "rename"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A way to name the layers."""

    name: str
    renames: tuple[tuple[str, str], ...]
    """Runs of a key's parts, and what they are called here; applied in order, each where it is
    found. A key is written with a dot before it."""

    def translate(self, key: str) -> str:
        """Return what a key of this layout is called here."""
        dotted = f".{key}"
        for theirs, ours in self.renames:
            dotted = dotted.replace(theirs, ours)
        return dotted.removeprefix(".")


_ADAPTER = (".adapter.map.", ".adapter.")

LAYOUTS = (
    Layout(name="torchvision", renames=(_ADAPTER,)),
    # Also of CIFAR networks: shortcuts without weights have no keys, and a head called fc stays.
    Layout(
        name="small image",
        renames=(_ADAPTER, (".shortcut.", ".downsample."), (".linear.", ".fc.")),
    ),
    Layout(
        name="stem",
        renames=(
            _ADAPTER,
            (".stem_conv.", ".conv1."),
            (".stem_bn.", ".bn1."),
            (".skip.", ".downsample."),
        ),
    ),
    Layout(
        name="head/tail",
        renames=(
            _ADAPTER,
            (".head.conv.", ".conv1."),
            (".head.bn.", ".bn1."),
            (".l0.block.", ".layer1."),
            (".l1.block.", ".layer2."),
            (".l2.block.", ".layer3."),
            (".l3.block.", ".layer4."),
            (".skip_conv1.", ".downsample.0."),
            (".skip_bn1.", ".downsample.1."),
            (".tail.lin.", ".fc."),
        ),
    ),
)

# An adapter in front of the network, as in nn.Sequential(adapter, network).
_SEQUENTIAL = (
    (re.compile(r"^0\.(map\.)?(?=\w+$)"), "adapter."),
    (re.compile(r"^1\."), ""),
)

_KNOWN = re.compile(
    r"((adapter|conv1|bn1|fc)|layer\d+\.\d+\.(conv\d|bn\d|downsample\.[01]))"
    r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
)


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """Weights by the names they have here."""

    weights: dict[str, Tensor]
    layout: str
    """The name of their own layout, or of the nearest; empty if no key is known in any."""
    known: int
    """How many of the keys are known in it."""


def rename(weights: Mapping[str, Tensor]) -> Renamed:
    """Return the weights by torchvision's names, whatever layout they are in.

    The layout is that in which most keys make sense; what makes none keeps its name.

    Raises:
        CheckpointError: if two keys mean the same.
    """
    opened = _open_sequential(list(weights))
    known = {layout: _count_known(map(layout.translate, opened)) for layout in LAYOUTS}
    layout = max(LAYOUTS, key=lambda layout: known[layout])
    origins: dict[str, str] = {}
    for key, bare in zip(weights, opened, strict=True):
        ours = layout.translate(bare)
        if ours in origins:
            raise CheckpointError(
                f"the weights hold '{ours}' twice, as '{origins[ours]}' and as '{key}'; "
                "save those of one model"
            )
        origins[ours] = key
    return Renamed(
        weights={ours: weights[key] for ours, key in origins.items()},
        layout=layout.name if known[layout] else "",
        known=known[layout],
    )


def _open_sequential(keys: list[str]) -> list[str]:
    """Return the keys without the numbers of a Sequential of adapter and network, if it is one."""
    if {key.partition(".")[0] for key in keys} != {"0", "1"}:
        return keys
    for pattern, replacement in _SEQUENTIAL:
        keys = [pattern.sub(replacement, key) for key in keys]
    return keys


def _count_known(keys: Iterable[str]) -> int:
    return sum(_KNOWN.fullmatch(key) is not None for key in keys)
