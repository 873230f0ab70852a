"""Lets a model answer a bundle's golden images before Triton calls it ready."""

from __future__ import annotations

import numpy as np

from export.triton.pbtxt import Message, Word
from export.triton.shapes import TYPES, Shapes
from runtime.bundle import Bundle
from runtime.onnx_files.tensor import read_tensor

__all__ = ["warm_up"]

WARM_UP_FOLDER = "warmup"
"""Where Triton looks for `input_data_file`."""


def warm_up(bundle: Bundle, shapes: Shapes) -> tuple[list[Message], dict[str, bytes]]:
    """Return runs of a golden image of each size, alone and as a batch, and their files by path.

    Raises:
        BundleError: if a golden image was altered.
    """
    runs: list[Message] = []
    files: dict[str, bytes] = {}
    sizes = set()
    for number, case in enumerate(bundle.manifest.golden):
        images = read_tensor(bundle.read(case.input_file))
        data = images if shapes.is_fixed else images[:1]
        if data.shape in sizes:
            continue
        sizes.add(data.shape)
        batches = [1] if shapes.is_fixed else [1, shapes.largest_batch]
        for batch in dict.fromkeys(batches):
            if not shapes.accepts(images.shape, len(images) if shapes.is_fixed else batch):
                continue
            file = f"golden_{number}"
            files[f"{WARM_UP_FOLDER}/{file}"] = _little_endian(data)
            value = {
                "data_type": Word(TYPES[shapes.variant.input.dtype]),
                "dims": list(data.shape) if shapes.is_fixed else list(data.shape[1:]),
                "input_data_file": file,
            }
            runs.append(
                {
                    "name": f"{case.folder}, batch {batch}",
                    "batch_size": batch,
                    "inputs": {"key": shapes.variant.input.name, "value": value},
                }
            )
    return runs, files


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
