"""Builds the engines of a bundle, one after the other, each in the bundle as soon as it is done.

A build that is killed can be called again: engines that are there, of the same graph, options,
version and GPU, are not built a second time. Where the memory does not suffice, an engine is built
again with half the workspace, down to a limit: slower kernels are better than none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.building.make_engine import MadeEngine, make_engine
from runtime.building.monitor import Progress
from runtime.building.orders import EngineOrder
from runtime.building.preflight import Machine, preflight
from runtime.bundle import Bundle
from runtime.engines.engine import EngineInfo
from runtime.engines.open_engine import read_bundled_engine
from runtime.engines.options import SMALLEST_WORKSPACE_MIB, EngineOptions
from runtime.errors import DeployError, EngineError, EngineMemoryError
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.publishing.publish import check_writable
from runtime.schema import to_json
from runtime.terminal import Screen

__all__ = ["Outcome", "build_engines", "build_within_memory"]

_FIRST_WORKSPACE_MIB = 1024
"""The first limit after TensorRT's own, which is all the memory there is."""
_BAR = 100


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an order."""

    name: str
    """Of the engine."""
    kept: bool = False
    """Whether it was there already."""
    info: EngineInfo | None = None
    """None if it was not built."""
    failure: DeployError | None = None
    """Why it was not."""


def build_engines(
    bundle: Bundle,
    orders: Sequence[EngineOrder],
    machine: Machine,
    timings: Path,
    screen: Screen,
) -> tuple[Outcome, ...]:
    """Build engines into a bundle, and return what became of each; one that fails stops no other.

    Args:
        bundle: where the graphs are, and the engines go.
        orders: what to build.
        machine: this one.
        timings: the folder in which timings of kernels are kept between builds.
        screen: shows the progress.

    Raises:
        BundleError: if the bundle was altered or cannot be written.
    """
    check_writable(bundle.folder)  # before hours of work
    return tuple(_build(bundle, order, machine, timings, screen) for order in orders)


def build_within_memory(
    make: Callable[[EngineOptions], MadeEngine],
    options: EngineOptions,
    tell: Callable[[str], None],
) -> MadeEngine:
    """Return what `make` makes of the options, or of the same with less workspace.

    Args:
        make: builds an engine.
        options: what to build.
        tell: called with a line for each attempt that the memory did not suffice for.

    Raises:
        EngineMemoryError: if it does not suffice with the smallest workspace either.
        DeployError: as `make`.
    """
    while True:
        try:
            return make(options)
        except EngineMemoryError as error:
            smaller = (options.workspace_mib or 2 * _FIRST_WORKSPACE_MIB) // 2
            if smaller < SMALLEST_WORKSPACE_MIB:
                raise
            tell(f"{error}; trying again with a workspace of {smaller} MiB")
            options = dataclasses.replace(options, workspace_mib=smaller)


def _build(
    bundle: Bundle, order: EngineOrder, machine: Machine, timings: Path, screen: Screen
) -> Outcome:
    file = bundle.manifest.variants[order.engine.variant].file
    there = _find_current(bundle, order, machine)
    if there is not None:
        screen.note(f"{order.name} is there already, of the same graph, options and version")
        return Outcome(name=order.name, info=there, kept=True)
    checked = preflight(order, bundle.manifest.files[file].size, machine)
    if checked.obstacles:
        return Outcome(name=order.name, failure=EngineError("; ".join(checked.obstacles)))
    for note in checked.notes:
        screen.note(f"{order.name}: {note}")
    onnx = bundle.read(file)
    options = dataclasses.replace(order.options, workspace_mib=checked.workspace_mib)
    try:
        with screen.step(order.name) as step, screen.progress(order.name, _BAR) as advance:
            progress = _as_progress(advance)
            made = build_within_memory(
                lambda tried: make_engine(onnx, order.promise, tried, timings, progress),
                options,
                screen.warn,
            )
            step.detail = _describe(made)
    except DeployError as error:
        return Outcome(name=order.name, failure=error)
    if made.note:
        screen.note(f"{order.name}: {made.note}")
    engine = order.engine
    files = {engine.file: made.plan, engine.info_file: to_json(made.info)}
    add_to_bundle(bundle.folder, files, {order.name: engine})
    return Outcome(name=order.name, info=made.info)


def _find_current(bundle: Bundle, order: EngineOrder, machine: Machine) -> EngineInfo | None:
    """Return the description of the engine if the bundle has it as it would be built now."""
    if bundle.manifest.engines.get(order.name) != order.engine:
        return None
    try:
        _, info = read_bundled_engine(bundle, order.engine)
    except DeployError:
        return None
    same = info.version == machine.tensorrt.get(info.flavour)
    same &= _without_workspace(info.options) == _without_workspace(order.options)
    same &= order.options.workspace_mib in (None, info.options.workspace_mib)
    if order.options.flavour == "tensorrt":
        same &= machine.gpu is not None and machine.gpu.name == info.environment.get("gpu")
    return info if same else None


def _without_workspace(options: EngineOptions) -> EngineOptions:
    """Return the options but for what may have been lowered for want of memory."""
    return dataclasses.replace(options, workspace_mib=None)


def _as_progress(advance: Callable[[], None]) -> Progress:
    """Return what moves a bar of _BAR pieces to a share of it."""
    done = 0

    def progress(share: float, phase: str) -> None:
        nonlocal done
        while done < int(share * _BAR):
            done += 1
            advance()

    return progress


def _describe(made: MadeEngine) -> str:
    info = made.info
    shares = ", ".join(f"{share:.0%} {name}" for name, share in info.precision.items())
    size = info.plan.size / 2**20
    return f"{info.flavour} {info.version}, {', '.join(info.target_sms)}, {shares}, {size:.1f} MiB"
