"""Equips a published bundle: with engines, where they can be built, and for a kind of device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.delivery.edge import Edge
from export.delivery.pack_edge import pack_edge
from runtime.building.build_engines import Outcome, build_engines
from runtime.building.orders import EngineRequest, order_engines
from runtime.building.preflight import look_around
from runtime.building.timing_cache import take_timings
from runtime.bundle import Bundle
from runtime.errors import DeployError
from runtime.terminal import Screen

__all__ = ["Equipment", "equip"]


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What a bundle was given beside its graphs."""

    bundle: Bundle
    """As it lies there now."""
    engines: tuple[Outcome, ...]
    archive: Path | None
    """The .tar.gz for a device."""


def equip(
    bundle: Bundle,
    requests: Sequence[EngineRequest],
    edge: tuple[Edge, EngineRequest] | None,
    timings: Path | None,
    screen: Screen,
) -> Equipment:
    """Return what became of engines and of a pack for a device; the bundle is complete in any case.

    Args:
        bundle: just published.
        requests: the engines to build here.
        edge: the kind of device, and how engines are to be built on it; None packs for none.
        timings: the folder in which timings of kernels are kept; the user's own cache if not given.
        screen: shows the progress.

    Raises:
        BundleError: if the bundle cannot be written.
        OSError: if the archive cannot be written.
    """
    outcomes: list[Outcome] = []
    for request in requests:
        outcomes += _build(bundle, request, timings, screen)
    archive = None
    if edge is not None:
        device, request = edge
        with screen.step("pack") as step:
            bundle, archive = pack_edge(bundle, device, request, timings)
            step.detail = f"{archive}, {archive.stat().st_size / 2**20:.1f} MiB"
    return Equipment(bundle=Bundle.load(bundle.folder), engines=tuple(outcomes), archive=archive)


def _build(
    bundle: Bundle, request: EngineRequest, timings: Path | None, screen: Screen
) -> tuple[Outcome, ...]:
    flavour = request.options.flavour
    try:
        orders = order_engines(
            bundle.manifest.variants, bundle.manifest.image, request, bundle.manifest.pixels
        )
        folder = take_timings(bundle, timings)
    except DeployError as error:  # of the engines; the bundle is sound
        return (Outcome(name=flavour, failure=error),)
    return build_engines(bundle, orders, look_around(), folder, screen)
