"""Quantizes a bundle's model with this project, as quantize_with_peer.py does with others.

    python quantize_with_ours.py "recipe tensorrt" BUNDLE FOLDER 256 quantized.onnx

    plain     minmax ranges and nothing else
    recipe    what `python -m export --precision int8` does, by the functions of its own line
    pixels    the same with `--input uint8`

    tensorrt, cpu    the target
    both             of one calibration, as export does; the file is that for the CPU

The last line it prints is how many seconds of processor time the work took, from the bundle and the
image files to the written model, on all cores and without imports, and the peak memory in MiB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
from calibration.rounded_tensors import head
from export.quantization.placement import ONNXRUNTIME, TENSORRT, Placement
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


Recipe: TypeAlias = Callable[[Task, Sequence[Placement]], list[bytes]]


def plain(task: Task, placements: Sequence[Placement]) -> list[bytes]:
    """Return the models with minmax ranges."""
    graph, spec = read_graph(task.bundle), task.bundle.manifest.image
    files, _ = choose_images(task.folder, task.images)
    batches = read_batches(files, spec, batch_size(graph, spec))
    found = measure(graph, (b.images for b in batches))
    return [
        serialize(quantize(graph, choose(found, "minmax", each.grid), each, head(graph)))
        for each in placements
    ]


def whole(task: Task, placements: Sequence[Placement], *, layout: str) -> list[bytes]:
    """Return the variants that take pixels of this layout, or normalised images."""
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
    makes = [make_tensorrt if placement is TENSORRT else make_cpu for placement in placements]
    return [make(how, {}, screen).data for make in makes]


def serialize(graph: ir.Model) -> bytes:
    """Return the graph as an ONNX file."""
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


RECIPES: dict[str, Recipe] = {
    "plain": plain,
    "recipe": partial(whole, layout=""),
    "pixels": partial(whole, layout="NCHW"),
}
PLACEMENTS: dict[str, tuple[Placement, ...]] = {
    "tensorrt": (TENSORRT,),
    "cpu": (ONNXRUNTIME,),
    "both": (TENSORRT, ONNXRUNTIME),
}


def main() -> int:
    """Do the work that the command line names; return the exit status."""
    try:
        name, bundle, folder, images, output = sys.argv[1:]
        recipe, target = name.split()
        make, placements, count = RECIPES[recipe], PLACEMENTS[target], int(images)
    except (ValueError, KeyError):
        known = f"{'|'.join(RECIPES)} {'|'.join(PLACEMENTS)}"
        usage = f'quantize_with_ours.py "{known}" BUNDLE FOLDER IMAGES OUTPUT.onnx'
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    task = Task(bundle=Bundle.load(Path(bundle)), folder=Path(folder), images=count)
    start = time.process_time()
    for model in make(task, placements):
        Path(output).write_bytes(model)
    seconds = time.process_time() - start
    print(f"\n{seconds} {peak_mib()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
