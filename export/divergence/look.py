"""Looks along a network in two passes: at the borders of all blocks, then inside some.

Inside is looked where a variant leaves PyTorch, where it is worst, and where a channel stands out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from export.divergence.judge_tensors import NOISE_MULTIPLE, first_to_leave, judge_tensors
from export.divergence.measure_depth import Depth
from export.divergence.places import Place
from export.divergence.sides import Sides
from runtime.terminal import Screen

__all__ = ["look"]

_UNLIKE_DB = 20.0
"""Below this, two tensors of one name are not the same, if what is computed from them is."""


def look(
    sides: Sides, precision: str, screen: Screen, *, everywhere: bool
) -> tuple[list[Depth], tuple[str, ...]]:
    """Return what both passes found, in order, and the modules that cannot be compared.

    Args:
        sides: what is compared.
        precision: of the variant.
        screen: shows the progress.
        everywhere: look inside of every block.
    """
    borders = [place for place in sides.places if place.border]
    with screen.step("borders") as step:
        coarse = sides.measure(borders)
        step.detail = f"{len(borders)} tensors, {sides.count} images"
    inner = _inner(sides, coarse, precision, everywhere=everywhere)
    fine: tuple[Depth, ...] = ()
    if inner:
        with screen.step("inside") as step:
            fine = sides.measure(inner)
            step.detail = f"{len(inner)} tensors"
    found = {depth.place.module: depth for depth in (*coarse, *fine)}
    strangers = _strangers(found.values(), sides.places, precision)
    looked_at = [place.module for place in sides.places if place in (*borders, *inner)]
    return (
        [found[module] for module in looked_at if module in found and module not in strangers],
        tuple(m for m in looked_at if m not in found or m in strangers),
    )


def _inner(
    sides: Sides, borders: Sequence[Depth], precision: str, *, everywhere: bool
) -> list[Place]:
    """Return the places inside the blocks that are worth a look."""
    tensors = judge_tensors(borders, sides.original, precision)
    ends = {
        first_to_leave(tensors, precision),
        min(tensors, key=lambda tensor: tensor.sqnr_db).module,
        max(tensors, key=lambda tensor: tensor.standing_out).module,
    }
    inner: list[Place] = []
    block: list[Place] = []
    for place in sides.places:
        if not place.border:
            block.append(place)
            continue
        inner += block if everywhere or place.module in ends else []
        block = []
    return inner


def _strangers(depths: Iterable[Depth], places: Sequence[Place], precision: str) -> frozenset[str]:
    """Return the modules whose tensor is another one in the graph.

    A module of one's own may do to a tensor what the graph does elsewhere. It tells by what follows
    being right; in lower precisions nothing is right enough to tell.
    """
    if precision != "float32":
        return frozenset()
    found = {depth.place.module: depth for depth in depths}
    strangers, unlike = set(), list[str]()
    for place in places:
        depth = found.get(place.module)
        if depth is not None and depth.sqnr_db < _UNLIKE_DB:
            unlike.append(place.module)
        elif depth is not None and place.border and depth.noise_ratio <= NOISE_MULTIPLE:
            strangers.update(unlike)
            unlike = []
    return frozenset(strangers)
