"""From a bundle and a folder of images to what each node costs: ranges, images, measurement."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from calibration.calibrate import calibrate
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.equalize import equalize
from calibration.images import ImageFile, choose_images, read_batches
from calibration.keys import ModelKey
from calibration.order import Order as CalibrationOrder
from calibration.ranges_file import RANGES_FILE, RangesFile
from calibration.read_graph import read_graph
from calibration.resume import batch_size
from calibration.rounded_tensors import head
from calibration.sensitivity.order import TARGETS, Order
from calibration.sensitivity.sensitivity import Sensitivity, sensitivity
from calibration.survey import refuse_unfit, survey
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.image_spec import ImageSpec
from runtime.publishing.replace_file import check_replaceable
from runtime.results_file import results_path
from runtime.runner import Images
from runtime.schema import from_json
from runtime.terminal import Screen

__all__ = ["Investigation", "investigate"]

_CHUNK = 64 * 224 * 224
"""Pixels of the images that are in memory at once: 64 of ImageNet's size. What a ResNet-50 makes of
them takes 200 MB."""


@dataclass(frozen=True, kw_only=True)
class Investigation:
    """What was found, and on what."""

    bundle: str
    target: str
    method: str
    """How the ranges were chosen."""
    head: tuple[str, ...]
    """Nodes that stay in float by default; they are not in `costs.together`."""
    costs: Sensitivity


def investigate(bundle: Bundle, order: Order, screen: Screen) -> Investigation:
    """Return what quantizing each node of the bundle's model alone costs.

    Raises:
        DeployError: if the bundle, its model, the images or the order cannot be used.
    """
    if order.plot is not None:
        check_replaceable(order.plot)
    exported, spec, grid = read_graph(bundle), bundle.manifest.image, TARGETS[order.target]
    measured = _ranges(bundle, exported, order.data, screen)
    graph, ranges = equalize(exported, measured.peaks), measured.ranges(grid)
    files = _readable(choose_images(order.data, order.images)[0], spec, screen)
    floats = head(graph)
    nodes = quantizable(graph, grid)

    def quantize(part: ir.Model, names: Collection[str]) -> ir.Model:
        return emulate_nodes(part, ranges, grid, names)

    with screen.step("quantize") as step:
        chunks = _Chunks(files, spec, batch_size(graph, spec))
        inner = [name for name in nodes if name not in floats]
        costs = sensitivity(graph, chunks, quantize, nodes, inner, screen)
        step.detail = f"{len(nodes)} nodes, one at a time, on {costs.images} images"
    return Investigation(
        bundle=str(bundle.folder),
        target=order.target,
        method=ranges.method,
        head=floats,
        costs=costs,
    )


def _ranges(bundle: Bundle, graph: ir.Model, data: Path, screen: Screen) -> RangesFile:
    """Return the ranges in the bundle or beside it, measured now if there are none of its model."""
    within = _ranges_within(bundle, ModelKey.of(graph, bundle.manifest.image))
    if within is not None:
        screen.note(f"ranges of {within.images} images from the bundle itself")
        return within
    path = results_path(bundle.folder, "ranges")
    if path.exists():
        try:
            found = RangesFile.load(path, ModelKey.of(graph, bundle.manifest.image))
        except BundleError as error:
            screen.warn(f"{str(error).removesuffix('; calibrate again')}; they are replaced")
        else:
            screen.note(f"ranges of {found.images} images from {path}")
            return found
    screen.note(f"no ranges of this model in {path}: calibrating first")
    order = CalibrationOrder(data=data, checkpoint=path.with_name(f"{path.name}.part"))
    found = calibrate(graph, bundle.manifest.image, order, screen).ranges
    found.save(path)
    return found


def _ranges_within(bundle: Bundle, key: ModelKey) -> RangesFile | None:
    """Return the ranges that its int8 variants were made with, if it has any."""
    if RANGES_FILE not in bundle.manifest.files:
        return None
    found = from_json(RangesFile, bundle.read(RANGES_FILE), RANGES_FILE)
    return found if found.model == key else None


def _readable(files: Sequence[ImageFile], spec: ImageSpec, screen: Screen) -> tuple[ImageFile, ...]:
    """Return the files that can be read; warn of the others, refuse a set that is unfit."""
    batches = read_batches(files, spec, 1)
    read = [(file, batch.records[0]) for file, batch in zip(files, batches, strict=True)]
    found = survey([record for _, record in read])
    refuse_unfit(found)
    for skipped in found.skipped:
        screen.warn(f"skipped {skipped}")
    return tuple(file for file, record in read if not record.error)


class _Chunks:
    """Batches of the files' images, read when a chunk is asked for."""

    def __init__(self, files: Sequence[ImageFile], spec: ImageSpec, batch: int) -> None:
        size = max(1, _CHUNK // spec.crop**2 // batch) * batch
        self._pieces = [files[start : start + size] for start in range(0, len(files), size)]
        self._spec, self._batch = spec, batch

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[list[Images]]:
        for piece in self._pieces:
            batches = read_batches(piece, self._spec, self._batch)
            yield [batch.images for batch in batches]
