"""Quantizes a bundle's model with this project, as quantize_with_peer.py does with others.

    python quantize_with_ours.py "recipe tensorrt" BUNDLE FOLDER 256 quantized.onnx

    plain     minmax ranges and nothing else
    recipe    what `python -m export --precision int8` does, by the functions of its own line
    pixels    the same with `--input uint8`

The last line it prints is how many seconds of processor time the work took, from the bundle and the
image files to the written model, on all cores and without imports, and the peak memory in MiB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

# As `python -m export` does, and before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import onnx_ir as ir

from calibration.calibrate import calibrate
from calibration.choose import choose
from calibration.equalize import equalize
from calibration.images import choose_images, read_batches
from calibration.measure import measure
from calibration.order import Order
from calibration.read_graph import read_graph
from calibration.resume import batch_size
from export.quantization.placement import ONNXRUNTIME, TENSORRT, Placement, head
from export.quantize import quantize
from export.variants.fit_head import prepare_head_fit
from export.variants.made import Form
from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt
from runtime.benchmark.timing import peak_mib
from runtime.bundle import Bundle
from runtime.terminal import Screen


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to quantize."""

    bundle: Bundle
    folder: Path
    """Of the images to calibrate on."""
    images: int


Recipe: TypeAlias = Callable[[Task, Placement], bytes]


def plain(task: Task, placement: Placement) -> bytes:
    """Return the model with minmax ranges."""
    graph, spec = read_graph(task.bundle), task.bundle.manifest.image
    files, _ = choose_images(task.folder, task.images)
    batches = read_batches(files, spec, batch_size(graph, spec))
    ranges = choose(measure(graph, (b.images for b in batches)), "minmax", placement.grid)
    return serialize(quantize(graph, ranges, placement, head(graph)))


def whole(task: Task, placement: Placement, *, layout: str) -> bytes:
    """Return the variant that takes pixels of this layout, or normalised images."""
    graph, spec = read_graph(task.bundle), task.bundle.manifest.image
    screen, form = Screen(quiet=True), Form(image=spec, pixels=layout, stamp=serialize)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "ranges.part")
        order = Order(data=task.folder, checkpoint=part, images=task.images)
        calibration = calibrate(graph, spec, order, screen)
    equalized = equalize(graph, calibration.ranges.peaks)
    files, _ = choose_images(task.folder, task.images)
    how = Int8Recipe(
        equalized=equalized,
        ranges=calibration.ranges,
        form=form,
        vnni=True,
        half_rest=False,
        unsafe=(),
        head_fit=prepare_head_fit(equalized, files, calibration.answers, form, screen),
    )
    make = make_tensorrt if placement is TENSORRT else make_cpu
    return make(how, {}, screen).data


def serialize(graph: ir.Model) -> bytes:
    """Return the graph as an ONNX file."""
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


RECIPES: dict[str, Recipe] = {
    "plain": plain,
    "recipe": partial(whole, layout=""),
    "pixels": partial(whole, layout="NCHW"),
}


PLACEMENTS = {"tensorrt": TENSORRT, "cpu": ONNXRUNTIME}


def main() -> int:
    """Do the work that the command line names; return the exit status."""
    try:
        name, bundle, folder, images, output = sys.argv[1:]
        recipe, target = name.split()
        make, placement, count = RECIPES[recipe], PLACEMENTS[target], int(images)
    except (ValueError, KeyError):
        known = f"{'|'.join(RECIPES)} {'|'.join(PLACEMENTS)}"
        usage = f'quantize_with_ours.py "{known}" BUNDLE FOLDER IMAGES OUTPUT.onnx'
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    task = Task(bundle=Bundle.load(Path(bundle)), folder=Path(folder), images=count)
    start = time.process_time()
    Path(output).write_bytes(make(task, placement))
    seconds = time.process_time() - start
    print(f"\n{seconds} {peak_mib()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
