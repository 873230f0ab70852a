"""Refits the heads of int8 variants on calibration images, with `export.quantization.refit_head`.

The images are decoded once for all variants; what the float32 graph makes of them, the calibration
has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.calibrate import Answers
from calibration.fit_errors import FEWEST_IMAGES, Features
from calibration.images import ImageFile
from calibration.resume import batch_size
from calibration.score import float_logits
from calibration.take_evenly import take_evenly
from export.quantization.refit_head import features_as_written, features_in_integers, refit_head
from export.variants.made import Form
from runtime.errors import ImageError
from runtime.open_image import load_image
from runtime.preprocess import batch_input
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["HeadFit", "prepare_head_fit"]

_IMAGES = 512
"""At most; twice as many gain a tenth of a decibel, on one of four graphs three."""
_SHARE_AS_WRITTEN = 2
"""A graph that does not run in integers here takes four times as long: one image in so many."""

_Look: TypeAlias = Callable[[ir.Model, Iterable[Images]], Features]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadFit:
    """What a head is refitted with."""

    pixels: NDArray[np.uint8]
    """[images, channels, height, width]"""
    expected: NDArray[np.float32]
    """What the float32 graph makes of them: [images, classes]."""
    form: Form
    """What the variants take."""
    batch: int
    """Images that are run at once."""

    def fit_as_written(self, quantized: ir.Model) -> ir.Model:
        """Return a copy, its float head refitted, of a graph that runs in integers elsewhere."""
        some = max(FEWEST_IMAGES, len(self.pixels) // _SHARE_AS_WRITTEN)
        return self._fit(quantized, features_as_written, some)

    def fit_in_integers(self, quantized: ir.Model) -> ir.Model:
        """Return a copy, its float head refitted, of a graph that runs in integers here."""
        return self._fit(quantized, features_in_integers, _IMAGES)

    def _fit(self, quantized: ir.Model, look: _Look, most: int) -> ir.Model:
        some = take_evenly(range(len(self.pixels)), most)
        given = _batches(self.pixels[some], self.form, self.form.pixels, self.batch)
        return refit_head(quantized, self.expected[some], look(quantized, given)[: len(some)])


def prepare_head_fit(
    graph: ir.Model, files: Sequence[ImageFile], answers: Answers, form: Form, screen: Screen
) -> HeadFit | None:
    """Return what heads are refitted with; None where they had better be left alone.

    That is so without a classifier's head, and with fewer images than FEWEST_IMAGES.

    Args:
        graph: float32, of normalised images.
        files: what ranges were measured on; those that cannot be read are passed over.
        answers: the graph's, where it has seen the images; it is run if one is missing.
        form: what the variants take.
        screen: shows the progress.
    """
    if len(files) < FEWEST_IMAGES or all(node.op_type != "Gemm" for node in graph.graph):
        return None
    batch = batch_size(graph, form.image)
    with screen.step("head") as step:
        names, planes = zip(*_load(take_evenly(files, _IMAGES), form), strict=True)
        pixels = np.stack(planes)
        if all(name in answers for name in names):
            expected = np.stack([answers[name] for name in names])
        else:
            expected = float_logits(graph, _batches(pixels, form, "", batch))[: len(pixels)]
        step.detail = f"to be refitted on {len(pixels)} images"
    return HeadFit(pixels=pixels, expected=expected, form=form, batch=batch)


def _load(files: Sequence[ImageFile], form: Form) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the SHA-256 and the pixels of each file that can be read."""
    for file in files:
        try:
            pixels = load_image(file.path, form.image, "NCHW")
        except ImageError:
            continue  # calibration has said so
        yield file.sha256, pixels.astype(np.uint8, copy=False)


def _batches(pixels: NDArray[np.uint8], form: Form, layout: str, size: int) -> Iterator[Images]:
    """Yield whole batches of the images; the last image repeated fills up the last one."""
    for start in range(0, len(pixels), size):
        some = pixels[np.minimum(np.arange(start, start + size), len(pixels) - 1)]
        yield batch_input(some, form.image, layout)
