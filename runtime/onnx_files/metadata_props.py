"""What a model's ONNX file says of its input and its classes, in metadata_props."""

from __future__ import annotations

import dataclasses
import json

from runtime.image_spec import ImageSpec

__all__ = ["PIXELS_PROP", "metadata_props"]

PIXELS_PROP = "resnet-deploy.pixels"
"""Of metadata_props: how the pixels lie that a graph takes; absent where it takes none."""


def metadata_props(image: ImageSpec, labels: tuple[str, ...], pixels: str = "") -> dict[str, str]:
    """Return what a model's ONNX file says of its input and its classes in metadata_props.

    A model that was parted from its bundle can still be fed and its answer read.

    Args:
        image: how an image file becomes pixels, and how these are normalised.
        labels: of the classes.
        pixels: the layout of a graph that normalises pixels itself; "" for any other.
    """
    of_pixels = {PIXELS_PROP: pixels} if pixels else {}
    return {
        "resnet-deploy.image": json.dumps(dataclasses.asdict(image)),
        "resnet-deploy.labels": json.dumps(labels, ensure_ascii=False),
        **of_pixels,
    }
