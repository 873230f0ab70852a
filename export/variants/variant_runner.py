"""Runs a variant that no bundle holds yet, on as many images as there are."""

from __future__ import annotations

from export.variants.made import MadeVariant
from runtime.feed import fill_batch
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import PLACED_FOR_TENSORRT
from runtime.runner import Images, Logits

__all__ = ["VariantRunner"]


class VariantRunner:
    """A variant in ONNX Runtime; where its batch is fixed, the last image fills it up.

    Raises:
        BackendError: if it cannot run here.
    """

    def __init__(self, variant: MadeVariant) -> None:
        shape = variant.graph.graph.inputs[0].shape
        batch = shape[0] if shape is not None else None
        self._fixed = batch if isinstance(batch, int) else 0
        as_written = variant.placement == PLACED_FOR_TENSORRT
        self._runner = OnnxRunner.open(variant.data, as_written=as_written)

    def logits(self, images: Images) -> Logits:
        """Return one row of logits per image, in order; of a fixed batch, at most so many.

        Raises:
            BackendError: if it cannot run on them.
        """
        return self._runner.logits(fill_batch(images, self._fixed))[: len(images)]
