"""Compares calibration with plain inference and with onnxruntime's calibrators, in one run.

All read the same images with the same preprocessing and run the same float32 model, one contestant
a process. Seconds are those of the work, from opening the model to the ranges, without the
interpreter's start and imports. Contestants take turns, so that a drifting machine favours none,
and the median of the rounds counts. Memory is the resident peak of the whole process.

onnxruntime's histogram calibrators keep every activation of every image: with --images 64 they
need some 2 GiB for ResNet-18 at 224 pixels.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from calibration.images import choose_images
from runtime.bundle import Bundle
from runtime.open_image import load_image
from runtime.runner import Images
from runtime.table import text_table
from runtime.terminal import Screen
from scripts.contestant import Contestant

GOAL = 2.5
"""The most that a calibration may take, in units of plain inference."""


def infer(bundle: Bundle, data: Path, images: int) -> Callable[[], None]:
    """Return the work of plain inference, eight images at once."""
    from runtime.onnx_runner import OnnxRunner

    def work() -> None:
        runner = OnnxRunner.open(bundle.read(bundle.variant("fp32").file))
        batch: list[Images] = []
        for image in _load(bundle, data, images):
            batch.append(image)
            if len(batch) == 8:
                runner.logits(np.stack(batch))
                batch.clear()
        if batch:
            runner.logits(np.stack(batch))

    return work


def ours(bundle: Bundle, data: Path, images: int, method: str) -> Callable[[], None]:
    """Return the work of this project's calibration."""
    from calibration.calibrate import calibrate
    from calibration.order import Order
    from calibration.read_graph import read_graph

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part"
            order = Order(data=data, checkpoint=part, images=images, method=method)
            spec = bundle.manifest.image
            calibration = calibrate(read_graph(bundle), spec, order, Screen(quiet=True))
            calibration.ranges.save(Path(folder) / "ranges.json")

    return work


def theirs(bundle: Bundle, data: Path, images: int, method: str) -> Callable[[], None]:
    """Return the work of a calibrator of onnxruntime.quantization."""
    import onnxruntime.quantization.calibrate as peer

    class Reader(peer.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images = _load(bundle, data, images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.images, None)
            return None if image is None else {"images": image[None]}

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            calibrator = peer.create_calibrator(
                bundle.folder / bundle.variant("fp32").file,
                augmented_model_path=f"{folder}/augmented.onnx",
                calibrate_method=peer.CalibrationMethod[method],
            )
            calibrator.collect_data(Reader())
            calibrator.compute_data()

    return work


CONTESTANTS: dict[str, Callable[[Bundle, Path, int], Callable[[], None]]] = {
    "onnxruntime inference": infer,
    "ours minmax": partial(ours, method="minmax"),
    "ours mse": partial(ours, method="mse"),
    "ours auto": partial(ours, method="auto"),
    "onnxruntime MinMax": partial(theirs, method="MinMax"),
    "onnxruntime Percentile": partial(theirs, method="Percentile"),
    "onnxruntime Entropy": partial(theirs, method="Entropy"),
}


def _load(bundle: Bundle, data: Path, images: int) -> Iterator[Images]:
    files, _ = choose_images(data, images)
    manifest = bundle.manifest
    return (load_image(file.path, manifest.image, manifest.pixels) for file in files)


def main(
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export resnet18 --onnx.")],
    data: Annotated[Path, typer.Argument(help="Folder with images.")],
    images: Annotated[int, typer.Option(min=10)] = 64,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    only: Annotated[str, typer.Option(hidden=True, help="Run one and print its seconds.")] = "",
) -> None:
    """Compare seconds and peak memory over the same images."""
    if only:
        work = CONTESTANTS[only](Bundle.load(bundle), data, images)
        start = time.perf_counter()
        work()
        print(time.perf_counter() - start)
        return
    command = [sys.executable, __file__, str(bundle), str(data), "--images", str(images)]
    contestants = [Contestant(name, [*command, "--only", name]) for name in CONTESTANTS]
    for _ in range(rounds):
        for contestant in contestants:
            printed = contestant.run()
            contestant.seconds[-1] = float(printed.splitlines()[-1])  # of the work alone
    plain = statistics.median(contestants[0].seconds)
    ratios = {c.name: statistics.median(c.seconds) / plain for c in contestants}
    if as_json:
        found = [asdict(c) | {"ratio": ratios[c.name]} for c in contestants]
        print(json.dumps({"images": images, "goal": GOAL, "contestants": found}, indent=2))
    else:
        rows = [
            [
                c.name,
                f"{statistics.median(c.seconds):.2f}",
                f"{ratios[c.name]:.2f}x",
                f"{c.peak_mib:.0f}",
            ]
            for c in contestants
        ]
        print(text_table([f"{images} images", "seconds", "ratio", "peak MiB"], rows))
        print(f"goal: each of ours at most {GOAL}x plain inference")
    sys.exit(any(ratio > GOAL for name, ratio in ratios.items() if name.startswith("ours")))


if __name__ == "__main__":
    typer.run(main)
