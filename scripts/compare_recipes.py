"""Shows what each step of the int8 recipe gains, in decibel, in one run.

Every row adds one step to the row before it. Judged are images that no step has seen, on a bundle's
own model and data (made by prepare_elpv.py) and on the embedded digits classifier:

    tensorrt    the graph as written, pair by pair in float32: what TensorRT should return
    cpu         the graph as ONNX Runtime runs it, in integers where it finds its patterns

    python scripts/compare_recipes.py artifacts/best elpv --images 256
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx_ir as ir
import typer
from numpy.typing import NDArray

from calibration.choose import choose
from calibration.equalize import equalize, measure_peaks
from calibration.images import choose_images
from calibration.measure import Measurement, measure
from calibration.read_graph import read_graph
from calibration.rounded_tensors import head
from calibration.score import float_logits, score_logits
from calibration.weight_scales import clip_nothing, least_error
from export.fold import fold
from export.load import load
from export.load_options import LoadOptions
from export.pixels import fold_normalisation
from export.quantization.placement import ONNXRUNTIME, TENSORRT, Placement
from export.quantization.refit_head import features_as_written, features_in_integers, refit_head
from export.quantize import quantize
from export.recipes import float32
from runtime.bundle import Bundle
from runtime.image_spec import ImageSpec
from runtime.onnx_runner import OnnxRunner
from runtime.open_image import load_image
from runtime.preprocess import normalise
from runtime.runner import Images, Logits
from runtime.table import text_table
from runtime.terminal import Screen
from scripts.train_digits import split

PEAK_IMAGES = 32
"""As `calibration.calibrate` takes for equalizing."""
BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Arena:
    """A model, and pixels [images, channels, height, width] to calibrate it on and judge it by."""

    name: str
    graph: ir.Model
    spec: ImageSpec
    calibration: NDArray[np.uint8]
    test: NDArray[np.uint8]

    def floats(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the pixels normalised."""
        return np.stack([normalise(planes, self.spec) for planes in pixels])


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a float32 graph becomes int8."""

    name: str
    float_head: bool = True
    equalized: bool = True
    pixels: bool = True
    weights: str = "max"
    ranges: str = "minmax"
    refit: bool = False


STEPS = (
    Recipe(name="minmax, everything in int8", float_head=False, equalized=False, pixels=False),
    Recipe(name="+ head in float", equalized=False, pixels=False),
    Recipe(name="+ equalized channels", pixels=False),
    Recipe(name="+ pixels for input, exact"),
    Recipe(name="+ weight scales by least error", weights="least error"),
    Recipe(name="+ ranges by tails", weights="least error", ranges="tails"),
    Recipe(name="+ head refitted", weights="least error", ranges="tails", refit=True),
)
INSTEAD = tuple(
    replace(STEPS[4], name=f"ranges by {method}, not refitted", ranges=method)
    for method in ("percentile", "mse", "entropy")
)


class Kitchen:
    """Makes graphs by recipes, and measures each float graph once."""

    def __init__(self, arena: Arena) -> None:
        images = arena.floats(arena.calibration)
        peaks = measure_peaks(arena.graph, batches(images[:PEAK_IMAGES]))
        self.arena = arena
        self.images = images
        self.graphs = {False: arena.graph, True: equalize(arena.graph, peaks)}
        self.measured: dict[bool, Measurement] = {
            equalized: measure(graph, batches(images)) for equalized, graph in self.graphs.items()
        }

    def make(self, recipe: Recipe, placement: Placement) -> ir.Model:
        """Return the graph that the recipe makes for a target."""
        graph, arena = self.graphs[recipe.equalized], self.arena
        ranges = choose(self.measured[recipe.equalized], recipe.ranges, placement.grid)
        kept = head(graph) if recipe.float_head else ()
        weights = least_error if recipe.weights == "least error" else clip_nothing
        whole = fold_normalisation(graph, arena.spec, placement) if recipe.pixels else graph
        quantized = quantize(whole, ranges, placement, kept, weights)
        if not recipe.refit:
            return quantized
        expected = float_logits(graph, list(batches(self.images)))
        look = features_as_written if placement is TENSORRT else features_in_integers
        given = arena.calibration if recipe.pixels else self.images
        return refit_head(quantized, expected, look(quantized, batches(given)))


def batches(images: Images) -> Iterator[Images]:
    """Yield the images, a few at a time."""
    yield from (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def run(graph: ir.Model, images: Images, *, as_written: bool) -> Logits:
    """Return the logits, with or without ONNX Runtime's integers in the place of the pairs."""
    if as_written:
        return float_logits(graph, list(batches(images)))
    runner = OnnxRunner.open(ir.to_proto(graph).SerializeToString())
    return np.concatenate([runner.logits(batch) for batch in batches(images)])


def trained_arena(folder: Path, data: Path, images: int) -> Arena:
    """Return a bundle's model, and the images of its data."""
    bundle = Bundle.load(folder)
    spec = bundle.manifest.image
    parts = []
    for part, most in (("train", images), ("test", 10**6)):
        files, _ = choose_images(data / part, most)
        parts.append(np.stack([load_image(file.path, spec, "NCHW") for file in files]))
    return Arena(
        name=bundle.manifest.model.name,
        graph=read_graph(bundle),
        spec=spec,
        calibration=parts[0].astype(np.uint8, copy=False),
        test=parts[1].astype(np.uint8, copy=False),
    )


def digits_arena(images: int) -> Arena:
    """Return the embedded digits classifier, and scans split as for its training."""
    classifier, digits = load("resnet20-digits", LoadOptions()), split(seed=0)
    scans = digits.scans[:, None]
    return Arena(
        name=classifier.name,
        graph=float32(fold(classifier), 18, Screen(quiet=True)).graph,
        spec=classifier.image,
        calibration=scans[digits.training][:images],
        test=scans[digits.held_out],
    )


def compare(arena: Arena) -> dict[str, list[float]]:
    """Return the signal to noise of both targets by recipe, in decibel."""
    kitchen = Kitchen(arena)
    floats = arena.floats(arena.test)
    reference = run(arena.graph, floats, as_written=True)
    found: dict[str, list[float]] = {}
    for recipe in (*STEPS, *INSTEAD):
        for placement in (TENSORRT, ONNXRUNTIME):
            graph = kitchen.make(recipe, placement)
            given = arena.test if recipe.pixels else floats
            logits = run(graph, given, as_written=placement is TENSORRT)
            found.setdefault(recipe.name, []).append(score_logits(reference, logits).sqnr_db)
        print(f"{arena.name}: {recipe.name} {found[recipe.name]}", file=sys.stderr)
    return found


def main(
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export auto --weights ...")],
    data: Annotated[Path, typer.Argument(help="Made by scripts/prepare_elpv.py: train and test.")],
    images: Annotated[int, typer.Option(min=64, help="To calibrate on.")] = 256,
) -> None:
    """Compare the steps of the int8 recipe by the signal to noise of the logits."""
    header, columns = ["SQNR dB"], []
    for arena in (trained_arena(bundle, data, images), digits_arena(images)):
        columns.append(compare(arena))
        header += [f"{arena.name} tensorrt", "cpu"]
    rows = [
        [recipe.name, *(f"{value:.1f}" for found in columns for value in found[recipe.name])]
        for recipe in (*STEPS, *INSTEAD)
    ]
    print(text_table(header, rows))


if __name__ == "__main__":
    typer.run(main)
