"""Measures why a bundle does as it does: layer by layer against PyTorch, and what int8 costs where.

These need minutes on large models, so they look at few images; verdicts do not rest on them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.equalize import equalize
from calibration.images import ImageFile, read_batches
from calibration.measure import measure
from calibration.observers import BINS, Histogram
from calibration.ranges import INT8, UINT8, Grid, Range
from calibration.ranges_file import RANGES_FILE, RangesFile
from calibration.read_graph import read_graph
from calibration.resume import batch_size
from calibration.rounded_tensors import head
from calibration.sensitivity.sensitivity import sensitivity, worst_first
from export.divergence.diverge import Question, diverge
from export.divergence.wish import Wish
from export.report.content import Activation, Bar, DepthLine, Missing
from runtime.bundle import Bundle
from runtime.evaluation.dataset import Dataset
from runtime.schema import from_json
from runtime.terminal import Screen

__all__ = ["Int8", "activations", "depth", "find_int8", "layer_costs"]

_DEPTH_IMAGES = 8
_IMAGES = 24
_BATCH = 8
_PANELS = 6
_BARS = 16
_COLUMNS = 80
"""Of a histogram that is drawn."""


def depth(bundle: Bundle, wish: Wish, data: Path | None, screen: Screen) -> tuple[DepthLine, ...]:
    """Return how far every variant is from PyTorch, tensor by tensor.

    Args:
        bundle: the bundle.
        wish: what it was exported from.
        data: a folder of images; None for those of this package.
        screen: shows the progress.

    Raises:
        DeployError: if the module is not that of the bundle, or an image cannot be read.
    """
    lines = []
    with (
        screen.step("depth") as step,
        screen.progress("depth", len(bundle.manifest.variants)) as advance,
    ):
        for name in bundle.manifest.variants:
            question = Question(wish=wish, variant=name, data=data, images=_DEPTH_IMAGES)
            found = diverge(bundle, question, Screen(quiet=True))
            points = tuple((tensor.module, tensor.sqnr_db) for tensor in found.tensors)
            lines.append(DepthLine(variant=name, points=points, marked=found.first))
            advance()
        step.detail = f"{len(lines)} variants beside PyTorch, {_DEPTH_IMAGES} images"
    return tuple(lines)


@dataclass(frozen=True)
class Int8:
    """The quantized variant that is looked into."""

    name: str
    graph: ir.Model
    """Float32, its channels equalized: what the ranges are of."""
    ranges: RangesFile
    grid: Grid
    batches: tuple[NDArray[np.float32], ...]


def find_int8(bundle: Bundle, dataset: Dataset) -> Int8 | Missing:
    """Return the variant to look into, the one for this kind of processor if there is one.

    Raises:
        DeployError: if the bundle's ranges or its graph were altered, or no image can be read.
    """
    manifest = bundle.manifest
    names = [name for name, variant in manifest.variants.items() if variant.precision == "int8"]
    if not names or RANGES_FILE not in manifest.files:
        command = (
            f"python -m export {manifest.model.name} --onnx --precision fp32 fp16 int8 "
            "--calibration-data FOLDER"
        )
        return Missing(reason="The bundle has no int8 variant with its ranges.", command=command)
    name = "int8.cpu" if "int8.cpu" in names else names[0]
    ranges = from_json(RangesFile, bundle.read(RANGES_FILE), RANGES_FILE)
    graph = equalize(read_graph(bundle), ranges.peaks)
    chosen = dataset.limited(_IMAGES).examples
    files = [ImageFile(path=example.path, sha256="") for example in chosen]
    size = min(_BATCH, batch_size(graph, manifest.image))
    read = (batch.images for batch in read_batches(files, manifest.image, size))
    batches = tuple(images for images in read if len(images))
    return Int8(
        name=name,
        graph=graph,
        ranges=ranges,
        grid=INT8 if manifest.variants[name].placement == "tensorrt" else UINT8,
        batches=batches,
    )


def activations(int8: Int8, screen: Screen) -> tuple[Activation, ...]:
    """Return the tensors whose own rounding and clipping cost most, the worst first."""
    with screen.step("ranges") as step:
        seen = measure(int8.graph, int8.batches)
        chosen = int8.ranges.ranges(int8.grid).tensors
        found = [
            _activation(tensor, histogram, chosen[tensor], int8.grid)
            for tensor, histogram in seen.histograms.items()
            if tensor in chosen and histogram.highest > histogram.lowest
        ]
        step.detail = f"{len(found)} tensors on {seen.images} images"
    return tuple(sorted(found, key=lambda each: each.sqnr_db)[:_PANELS])


def _activation(tensor: str, histogram: Histogram, chosen: Range, grid: Grid) -> Activation:
    counts = histogram.counts[1:].astype(np.float64)
    values = np.arange(1 - BINS, BINS) * histogram.width
    values += np.sign(values) * histogram.width / 2  # the middle of the bin
    scale, zero = grid.fit(chosen)
    steps = np.clip(np.round(values / scale) + zero, grid.lowest, grid.highest)
    error = np.square((steps - zero) * scale - values)
    noise = max(float((counts * error).sum()), 1e-200)
    clipped = counts[(values < chosen.low) | (values > chosen.high)].sum() / counts.sum()
    edges = np.linspace(histogram.lowest, histogram.highest, _COLUMNS + 1)
    drawn, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=counts)
    return Activation(
        tensor=tensor,
        edges=tuple(edges.tolist()),
        counts=tuple(int(count) for count in drawn),
        low=chosen.low,
        high=chosen.high,
        clipped=float(clipped),
        sqnr_db=float(10 * np.log10(max(float((counts * values**2).sum()), 1e-200) / noise)),
    )


def layer_costs(int8: Int8, screen: Screen) -> tuple[Bar, ...]:
    """Return what quantizing each layer alone costs, the worst first."""
    ranges = int8.ranges.ranges(int8.grid)

    def quantize(part: ir.Model, names: Collection[str]) -> ir.Model:
        return emulate_nodes(part, ranges, int8.grid, names)

    heads = head(int8.graph)
    inner = [name for name in quantizable(int8.graph, int8.grid) if name not in heads]
    chunks: Sequence[Sequence[NDArray[np.float32]]] = [int8.batches]
    with screen.step("layers") as step:
        found = sensitivity(int8.graph, chunks, quantize, inner, inner, screen)
        step.detail = f"{len(found.nodes)} layers, one at a time, on {found.images} images"
    return tuple(
        Bar(name=cost.name, sqnr_db=cost.score.sqnr_db, agreement=cost.score.top1_agreement)
        for cost in worst_first(found.nodes)[:_BARS]
    )
