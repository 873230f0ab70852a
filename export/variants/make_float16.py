"""Makes the variant "fp16": float16 inside, but for what real images show it cannot hold."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from calibration.images import ImageFile, read_batches
from calibration.resume import batch_size
from export.halve import halve, unsafe_nodes
from export.pixels import normalise_inside
from export.variants.made import Form, MadeVariant
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

__all__ = ["find_unsafe", "make_float16"]

_IMAGES = 48
"""That activations are looked at on, or up to twice as many: the gate stands at half the limit."""


def find_unsafe(
    graph: ir.Model, spec: ImageSpec, files: Sequence[ImageFile], source: str, screen: Screen
) -> dict[str, str]:
    """Return the nodes that should not be float16, each with the reason.

    Args:
        graph: float32, simplified.
        spec: how an image becomes its input.
        files: real images; some of them are looked at, spread evenly.
        source: where they are from, for a person.
        screen: shows the progress.

    Raises:
        BackendError: if the graph cannot run on the images.
    """
    some = files[:: max(1, len(files) // _IMAGES)]
    with screen.step("range gate") as step:
        read = read_batches(some, spec, batch_size(graph, spec))
        unsafe = unsafe_nodes(graph, (batch.images for batch in read if len(batch.images)))
        kept = f"{len(unsafe)} nodes stay in float32" if unsafe else "all nodes fit float16"
        step.detail = f"{kept}, on {len(some)} images of {source}"
    return unsafe


def make_float16(
    graph: ir.Model, unsafe: dict[str, str], form: Form, screen: Screen
) -> MadeVariant:
    """Return the variant in float16.

    Args:
        graph: float32, simplified.
        unsafe: the nodes that stay in float32, from `find_unsafe`.
        form: what the variant takes.
        screen: shows the progress.
    """
    with screen.step("fp16") as step:
        half = halve(graph, unsafe)
        if form.pixels:
            half = normalise_inside(half, form.image, form.pixels)
        data = form.stamp(half)
        step.detail = f"{len(data) / 2**20:.1f} MiB"
    return MadeVariant(name="fp16", precision="float16", graph=half, data=data, kept_float=unsafe)
