"""The reference of a graph that takes pixels: the module itself, behind its normalisation."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from export.classifier import Classifier
from export.pixels import normalisation
from runtime.image_spec import ImageSpec

__all__ = ["normalising"]


def normalising(classifier: Classifier, layout: str) -> Classifier:
    """Return the classifier with a module that takes pixels, of any dtype, in a layout.

    In float64 the module is exact to float64; it is not changed itself.

    Args:
        classifier: of normalised images.
        layout: one of `runtime.image_spec.CHANNEL_AXES`.
    """
    module = _Normalising(classifier.module, classifier.image, layout)
    return dataclasses.replace(classifier, module=module.eval())


class _Normalising(nn.Module):
    def __init__(self, module: nn.Module, image: ImageSpec, layout: str) -> None:
        super().__init__()
        self.module = module
        # Not buffers: `.to(float32)` would round them before anything is computed.
        self._gain, self._offset = (
            torch.from_numpy(factor)[:, None, None] for factor in normalisation(image)
        )
        self._interleaved = layout == "NHWC"

    def forward(self, pixels: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return what the module says of the pixels [batch, ...]."""
        planes = pixels.permute(0, 3, 1, 2) if self._interleaved else pixels
        images = planes * self._gain.to(pixels.dtype) + self._offset.to(pixels.dtype)
        answer: torch.Tensor | tuple[torch.Tensor, ...] = self.module(images)
        return answer
