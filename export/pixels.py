"""Graphs that take pixels: uint8, 0 to 255, with the normalisation inside.

An image is whole numbers until it is normalised: in channel c, a pixel v becomes

    n = gain[c] v + offset[c]        gain = (high - low) / 255 / std,  offset = (low - mean) / std

`normalise_inside` puts just that before the graph, in float32; it serves every precision.

`fold_normalisation` is for a graph that will be quantized. It moves gain and offset into the first
convolution, so that what is quantized is u = v - 128: a whole number, which int8 with scale 1 holds
as it is, and so does uint8 with zero point 128. The rounding of the input, a large part of the
noise of an int8 graph, is gone.

Around the image the normalised graph saw zeros, the mean colour, and must still see it; a zero of u
is the grey 128. So the convolution gets one more input channel. It holds `mark` inside of the image
and, by the convolution's own padding, 0 outside:

    sum W[c] n[c] = sum (W[c] gain[c]) u[c] + (sum W[c] (offset[c] + 128 gain[c]) / mark) mark

No padding value could take its place: each channel has a mean of its own, and a quantized tensor
has one zero point. In ONNX Runtime the channel costs 0.1 ms of a ResNet-18's 7 on one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from export.quantization.placement import Placement
from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES, ImageSpec
from runtime.onnx_files.metadata_props import PIXELS_PROP

__all__ = ["INPUT_NAME", "fold_normalisation", "normalisation", "normalise_inside"]

INPUT_NAME = "pixels"

MIDDLE = 128
"""The pixel that becomes 0."""


def normalise_inside(graph: ir.Model, image: ImageSpec, layout: str = "NCHW") -> ir.Model:
    """Return a copy of the graph that takes pixels and normalises them itself, in float32.

    Its input is "pixels", uint8 [batch, channels, height, width], or [batch, height, width,
    channels] in the layout NHWC; the channels are in the image spec's order. Its metadata_props
    say the layout, under PIXELS_PROP.

    Raises:
        OptionError: if the layout is unknown, or the graph does not take float32 images of the
            spec's channels.
    """
    result = graph.clone()
    front = _Front(result, image, layout)
    gain, offset = (factor.astype(np.float32)[:, None, None] for factor in normalisation(image))
    value = front.planes(front.cast())
    value = front.step("Mul", [value, front.constant("gain", gain)])
    front.feed(front.step("Add", [value, front.constant("offset", offset)]))
    return result


def fold_normalisation(
    graph: ir.Model, image: ImageSpec, placement: Placement, layout: str = "NCHW"
) -> ir.Model:
    """Return a copy of a float32 graph that takes pixels, with their exact quantization in it.

    The rest of the graph is as it was, for `quantize` to go on with. The input is that of
    `normalise_inside`.

    Args:
        graph: float32; an ungrouped convolution, and nothing else, reads its input.
        image: how pixels are normalised.
        placement: of the target. ONNX Runtime computes on uint8 pixels as they are; TensorRT knows
            no zero point, and of uint8 only how to cast it.
        layout: one of `runtime.image_spec.CHANNEL_AXES`.

    Raises:
        OptionError: if the layout is unknown, the graph does not take float32 images of the spec's
            channels, or something else reads them.
    """
    result = graph.clone()
    convolution = _only_reader(result.graph)
    front = _Front(result, image, layout)
    mark = _fold(front, convolution, image)
    one_more = front.constant("pads", np.array([0, 0, 0, 0, 0, 1, 0, 0], np.int64))
    scale = front.constant("scale", np.array(1, np.float32))
    if placement.grid.symmetric:
        zero_point = front.constant("zero_point", np.array(0, np.int8))
        middle = front.constant("middle", np.array(MIDDLE, np.float32))
        marked = front.constant("mark", np.array(mark, np.float32))
        value = front.step("Sub", [front.planes(front.cast()), middle])
        value = front.step("Pad", [value, one_more, marked])
        value = front.step("QuantizeLinear", [value, scale, zero_point], ir.DataType.INT8)
    else:
        zero_point = front.constant("zero_point", np.array(MIDDLE, np.uint8))
        marked = front.constant("mark", np.array(MIDDLE + mark, np.uint8))
        value = front.step("Pad", [front.planes(front.pixels), one_more, marked], ir.DataType.UINT8)
    front.feed(front.step("DequantizeLinear", [value, scale, zero_point]))
    return RemoveUnusedNodesPass()(result).model  # the weights that were folded


class _Front:
    """The nodes from pixels to what was the input of a graph."""

    def __init__(self, model: ir.Model, image: ImageSpec, layout: str) -> None:
        graph = model.graph
        if layout not in CHANNEL_AXES:
            known = ", ".join(CHANNEL_AXES)
            raise OptionError(f"layout: given '{layout}'; expected one of {known}")
        self._old, channels = graph.inputs[0], image.channel_count
        shape = [d.value if isinstance(d, ir.SymbolicDim) else d for d in self._old.shape or ()]
        if self._old.dtype != ir.DataType.FLOAT or shape[1:2] != [channels]:
            raise OptionError(
                f"pixels: given a graph that takes {self._old.dtype} {self._old.shape}; expected "
                f"one that takes float32 images of {channels} channels, as the image spec says"
            )
        batch, _, height, width = shape
        self._planar = layout == "NCHW"
        planar, interleaved = (batch, channels, height, width), (batch, height, width, channels)
        self.pixels = ir.val(INPUT_NAME, ir.DataType.UINT8, planar if self._planar else interleaved)
        model.metadata_props[PIXELS_PROP] = layout
        self._graph = graph
        self._tape = ir.tape.Tape()

    def constant(self, name: str, content: NDArray[Any]) -> ir.Value:
        """Return a new initializer."""
        return self._tape.initializer(ir.tensor(content, name=f"{INPUT_NAME}.{name}"))

    def step(
        self,
        operator: str,
        inputs: Sequence[ir.Value],
        dtype: ir.DataType = ir.DataType.FLOAT,
        attributes: Mapping[str, Any] | None = None,
    ) -> ir.Value:
        """Return the output of a new node; each operator stands in the front at most once."""
        name = f"{INPUT_NAME}.{operator.lower()}"
        output = ir.val(name, dtype)
        return self._tape.op(operator, inputs, attributes, name=name, output=output)

    def cast(self) -> ir.Value:
        """Return the pixels in float32."""
        return self.step("Cast", [self.pixels], attributes={"to": ir.DataType.FLOAT})

    def planes(self, value: ir.Value) -> ir.Value:
        """Return the value, which has the layout of the pixels, in planes."""
        if self._planar:
            return value
        assert value.dtype is not None  # step has set it
        return self.step("Transpose", [value], value.dtype, {"perm": [0, 3, 1, 2]})

    def feed(self, value: ir.Value) -> None:
        """Put the nodes before the graph, which reads the value from now on."""
        self._old.replace_all_uses_with(value)
        self._graph.inputs[0] = self.pixels
        for initializer in self._tape.initializers:
            self._graph.register_initializer(initializer)
        self._graph.insert_before(self._graph[0], self._tape.nodes)


def normalisation(image: ImageSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gain and offset of each channel, for pixels of 0 to 255."""
    low, high = image.value_range
    mean, std = np.array(image.mean), np.array(image.std)
    return (high - low) / 255 / std, (low - mean) / std


def _only_reader(graph: ir.Graph) -> ir.Node:
    readers = graph.inputs[0].consumers()
    if [n.op_type for n in readers] != ["Conv"] or readers[0].attributes.get_int("group", 1) != 1:
        kinds = ", ".join(f"{node.op_type} '{node.name}'" for node in readers) or "nothing"
        raise OptionError(
            f"pixels: the input is read by {kinds}; expected one ungrouped convolution, into which "
            "the normalisation can be folded"
        )
    return readers[0]


def _fold(front: _Front, convolution: ir.Node, image: ImageSpec) -> int:
    """Give the convolution the weights that pixels need, and return the mark they go with."""
    gain, offset = normalisation(image)
    stored = convolution.inputs[1]
    tensor = ir.convenience.get_const_tensor(stored) if stored is not None else None
    if tensor is None:
        raise OptionError(
            f"pixels: '{convolution.name}' has no weights of its own that are float32; fold the "
            "normalisation before the graph is quantized"
        )
    weights = tensor.numpy().astype(np.float64)
    of_pixels = weights * gain[:, None, None]
    of_mark = (weights * (offset + MIDDLE * gain)[:, None, None]).sum(axis=1, keepdims=True)
    # The smallest mark whose weights are no larger than the pixels': both share a scale.
    peaks, mark_peaks = (np.abs(w).max(axis=(1, 2, 3)) for w in (of_pixels, of_mark))
    ratios = mark_peaks[peaks > 0] / peaks[peaks > 0]
    mark = int(np.clip(np.ceil(ratios.max(initial=1.0)), 1, 255 - MIDDLE))
    folded = np.concatenate([of_pixels, of_mark / mark], axis=1).astype(np.float32)
    convolution.replace_input_with(1, front.constant(f"{convolution.name}.weight", folded))
    return mark
