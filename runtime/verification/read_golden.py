"""Reads a golden input of a bundle, and PyTorch's answer to it."""

from __future__ import annotations

from runtime.bundle import Bundle
from runtime.manifest import GoldenCase
from runtime.onnx_files.tensor import read_tensor
from runtime.runner import Images, Logits, join_outputs
from runtime.variant import Variant

__all__ = ["read_golden"]


def read_golden(bundle: Bundle, case: GoldenCase, variant: Variant) -> tuple[Images, Logits]:
    """Return the images, as the variant takes them, and the right answer: one row an image.

    Raises:
        BundleError: if a file of the case was altered, or is no tensor.
    """
    images: Images = read_tensor(bundle.read(case.input_file))
    parts = case.output_files(len(variant.outputs))
    return images, join_outputs([read_tensor(bundle.read(path)) for path in parts])
