"""Refits the heads of int8 variants on calibration images: what `refit_head` does, twice.

What the float32 graph makes of the images is computed once, for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.images import ImageFile
from calibration.resume import batch_size
from export.quantization.refit_head import FEWEST_IMAGES, head_features, refit_head
from export.variants.made import Form
from runtime.errors import ImageError
from runtime.image_spec import CHANNEL_AXES
from runtime.images import load_image
from runtime.preprocess import normalise
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["HeadFit", "prepare_head_fit"]

_IMAGES = 256
"""At most; more move the fit by hundredths of a decibel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadFit:
    """What a head is refitted with."""

    pixels: NDArray[np.uint8]
    """[images, channels, height, width]"""
    expected: NDArray[np.float64]
    """What the head of the float32 graph reads of them: [images, features]."""
    form: Form
    """What the variants take."""
    batch: int
    """Images that are run at once."""

    def fit(self, quantized: ir.Model) -> ir.Model:
        """Return a copy of a quantized graph with its float head refitted."""
        given = _batches(self.pixels, self.form, self.form.pixels, self.batch)
        return refit_head(quantized, self.expected, head_features(quantized, given))


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
    count = min(len(files), _IMAGES)
    some = [files[index * len(files) // count] for index in range(count)]
    if count < FEWEST_IMAGES or all(node.op_type != "Gemm" for node in graph.graph):
        return None
    with screen.step("head") as step:
        pixels = np.stack(list(_load(some, form)))
        batch = batch_size(graph, form.image)
        expected = head_features(graph, _batches(pixels, form, "", batch))
        step.detail = f"to be refitted on {len(pixels)} images"
    return HeadFit(pixels=pixels, expected=expected, form=form, batch=batch)


def _load(files: Sequence[ImageFile], form: Form) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        try:
            yield load_image(file.path, form.image, "NCHW").astype(np.uint8, copy=False)
        except ImageError:
            continue  # calibration has said so


def _batches(pixels: NDArray[np.uint8], form: Form, layout: str, size: int) -> Iterator[Images]:
    for start in range(0, len(pixels), size):
        some = pixels[start : start + size]
        if layout:
            yield np.ascontiguousarray(np.moveaxis(some, 1, CHANNEL_AXES[layout]))
        else:
            yield np.stack([normalise(planes, form.image) for planes in some])
