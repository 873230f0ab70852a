"""Refits the heads of int8 variants on calibration images, with `export.quantization.refit_head`.

The images are decoded, and shown to the float32 graph, once for all variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.images import ImageFile
from calibration.probe import Probe
from calibration.resume import batch_size
from export.quantization.refit_head import (
    FEWEST_IMAGES,
    Features,
    features_as_written,
    features_in_integers,
    refit_head,
)
from export.variants.made import Form
from runtime.errors import ImageError
from runtime.image_spec import CHANNEL_AXES
from runtime.images import load_image
from runtime.preprocess import normalise
from runtime.runner import Images, Logits
from runtime.terminal import Screen

__all__ = ["HeadFit", "prepare_head_fit"]

_IMAGES = 256
"""At most; more move the fit by hundredths of a decibel."""
_IMAGES_AS_WRITTEN = 160
"""The same of a graph that does not run in integers here, and takes four times as long: 256 would
gain 0.04 dB, a tenth at most."""

_Look: TypeAlias = Callable[[ir.Model, Iterable[Images]], Features]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadFit:
    """What a head is refitted with."""

    pixels: NDArray[np.uint8]
    """[images, channels, height, width]"""
    expected: Logits
    """What the float32 graph makes of them: [images, classes]."""
    form: Form
    """What the variants take."""
    batch: int
    """Images that are run at once."""

    def fit_as_written(self, quantized: ir.Model) -> ir.Model:
        """Return a copy, its float head refitted, of a graph that runs in integers elsewhere."""
        return self._fit(quantized, features_as_written, _IMAGES_AS_WRITTEN)

    def fit_in_integers(self, quantized: ir.Model) -> ir.Model:
        """Return a copy, its float head refitted, of a graph that runs in integers here."""
        return self._fit(quantized, features_in_integers, _IMAGES)

    def _fit(self, quantized: ir.Model, look: _Look, most: int) -> ir.Model:
        some = _spread(len(self.pixels), most)
        given = _batches(self.pixels[some], self.form, self.form.pixels, self.batch)
        return refit_head(quantized, self.expected[some], look(quantized, given)[: len(some)])


def prepare_head_fit(
    graph: ir.Model, files: Sequence[ImageFile], form: Form, screen: Screen
) -> HeadFit | None:
    """Return what heads are refitted with; None where they had better be left alone.

    That is so without a classifier's head, and with fewer images than FEWEST_IMAGES.

    Args:
        graph: float32, of normalised images.
        files: what ranges were measured on; those that cannot be read are passed over.
        form: what the variants take.
        screen: shows the progress.
    """
    if len(files) < FEWEST_IMAGES or all(node.op_type != "Gemm" for node in graph.graph):
        return None
    with screen.step("head") as step:
        pixels = np.stack(list(_load([files[i] for i in _spread(len(files), _IMAGES)], form)))
        batch = batch_size(graph, form.image)
        output = str(graph.graph.outputs[0].name)
        probe = Probe(graph, [output])
        answers = [probe.run(images)[output] for images in _batches(pixels, form, "", batch)]
        step.detail = f"to be refitted on {len(pixels)} images"
    expected = np.concatenate(answers)[: len(pixels)]
    return HeadFit(pixels=pixels, expected=expected, form=form, batch=batch)


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """Return the indices of at most so many of `count` things, evenly spread."""
    chosen = min(count, most)
    return np.arange(chosen) * count // chosen


def _load(files: Sequence[ImageFile], form: Form) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        try:
            yield load_image(file.path, form.image, "NCHW").astype(np.uint8, copy=False)
        except ImageError:
            continue  # calibration has said so


def _batches(pixels: NDArray[np.uint8], form: Form, layout: str, size: int) -> Iterator[Images]:
    """Yield whole batches of the images; the last image repeated fills up the last one."""
    for start in range(0, len(pixels), size):
        some = pixels[np.minimum(np.arange(start, start + size), len(pixels) - 1)]
        if layout:
            yield np.ascontiguousarray(np.moveaxis(some, 1, CHANNEL_AXES[layout]))
        else:
            yield np.stack([normalise(planes, form.image) for planes in some])
