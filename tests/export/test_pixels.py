"""Graphs that take pixels: equal to normalising first, up to the last row and column."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from calibration.choose import choose
from calibration.measure import measure
from calibration.rounded_tensors import head
from export.halve import halve
from export.pixels import fold_normalisation, normalise_inside
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantization.read_back import optimized_operators
from export.quantize import quantize
from export.samples import sample_images
from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES, ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

PLACEMENTS = (TENSORRT, ONNXRUNTIME)
PHOTOGRAPHS = ImageSpec(
    resize=64, crop=64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), channels="RGB"
)


def run(graph, content):
    options = onnxruntime.SessionOptions()
    # Q/DQ as written: ONNX Runtime must not round more than the graph says.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: content})[0].astype(np.float64)


def sqnr_db(expected, actual):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - actual).sum())


def in_layout(pixels, layout):
    return pixels if layout == "NCHW" else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def normalise(pixels, spec):
    """Return what float64 makes of pixels [batch, channels, height, width]."""
    low, high = spec.value_range
    mean, std = (np.array(each)[:, None, None] for each in (spec.mean, spec.std))
    return (low + pixels / 255 * (high - low) - mean) / std


def stem(weights):
    """Return a graph that is one 7x7 convolution of stride 2 with its zero padding."""
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[n, 3, h, w] images, float[8, 3, 7, 7] weight) => (float[n, 8, a, b] logits)
        { logits = Conv <pads = [3, 3, 3, 3], strides = [2, 2]> (images, weight) }
    """)
    graph.graph.node(0).name = "conv1"
    value = graph.graph.inputs.pop()
    value.const_value = ir.tensor(weights, name="weight")
    graph.graph.register_initializer(value)
    return graph


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).standard_normal((8, 3, 7, 7), dtype=np.float32)


@pytest.fixture(scope="module")
def photographs():
    """Two photographs as pixels, [2, 3, 64, 64]."""
    as_they_are = ImageSpec(
        resize=64, crop=64, mean=(0, 0, 0), std=(1, 1, 1), value_range=(0.0, 255.0)
    )
    images = [preprocess(open_image(p), as_they_are) for p in sample_images("photographs")]
    return np.stack(images).astype(np.uint8)


@pytest.fixture(scope="module")
def scans():
    """The ten digits as pixels, [10, 1, 8, 8]."""
    return np.stack([np.asarray(open_image(path)) for path in sample_images("digits")])[:, None]


@pytest.fixture(scope="module")
def ranges(simplified, scans, digits):
    measurement = measure(simplified, [normalise(scans, digits.image).astype(np.float32)])
    return {each.name: choose(measurement, "minmax", each.grid) for each in PLACEMENTS}


def gaps(graph, weights, pixels, layout="NCHW"):
    """Return the largest error of the border and of the inside, against float64."""
    images = torch.from_numpy(normalise(pixels, PHOTOGRAPHS))
    expected = torch.nn.functional.conv2d(
        images, torch.from_numpy(weights).double(), padding=3, stride=2
    ).numpy()
    gap = np.abs(run(graph, in_layout(pixels, layout)) - expected) / np.abs(expected).max()
    inside = gap[:, :, 2:-2, 2:-2].max()
    gap[:, :, 2:-2, 2:-2] = 0
    return gap.max(), inside


@pytest.mark.parametrize("layout", CHANNEL_AXES)
def test_normalising_inside_is_normalising_before(weights, photographs, layout):
    graph = normalise_inside(stem(weights), PHOTOGRAPHS, layout)
    border, inside = gaps(graph, weights, photographs, layout)
    assert max(border, inside) < 1e-6


@pytest.mark.parametrize("layout", CHANNEL_AXES)
@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda p: p.name)
def test_folding_is_exact_up_to_the_last_row_and_column(weights, photographs, placement, layout):
    graph = fold_normalisation(stem(weights), PHOTOGRAPHS, placement, layout)
    border, inside = gaps(graph, weights, photographs, layout)
    assert max(border, inside) < 1e-6


def test_without_the_mark_the_border_would_be_wrong(weights, photographs):
    graph = fold_normalisation(stem(weights), PHOTOGRAPHS, ONNXRUNTIME)
    # The same sum inside of the image, but the mark's part as a bias, which acts outside as well.
    folded = graph.graph.initializers["pixels.conv1.weight"]
    mark = int(graph.graph.initializers["pixels.mark"].const_value.numpy()) - 128
    content = folded.const_value.numpy()
    bias = ir.val("bias", const_value=ir.tensor(mark * content[:, 3].sum((1, 2)), name="bias"))
    graph.graph.register_initializer(bias)
    convolution = next(node for node in graph.graph if node.op_type == "Conv")
    unmarked = np.concatenate([content[:, :3], np.zeros_like(content[:, 3:])], axis=1)
    folded.const_value = ir.tensor(unmarked, name=folded.name)
    convolution.resize_inputs(3)
    convolution.replace_input_with(2, bias)
    border, inside = gaps(graph, weights, photographs)
    assert inside < 1e-6
    assert border > 1e-2


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda p: p.name)
def test_pixels_lose_nothing_when_they_are_quantized(simplified, scans, digits, ranges, placement):
    images = normalise(scans, digits.image).astype(np.float32)
    expected = run(simplified, images)
    rest = [node.name for node in simplified.graph if node.name != "conv1"]
    by_images = quantize(simplified, ranges[placement.name], placement, rest)
    by_pixels = quantize(
        fold_normalisation(simplified, digits.image, placement),
        ranges[placement.name],
        placement,
        rest,
    )
    # What is left is the rounding of conv1's weights, and of its output in ONNX Runtime.
    assert sqnr_db(expected, run(by_pixels, scans)) > sqnr_db(expected, run(by_images, images))


def test_the_cpu_graph_has_every_convolution_in_integers_and_no_float_input(
    simplified, digits, ranges
):
    folded = fold_normalisation(simplified, digits.image, ONNXRUNTIME, "NHWC")
    quantized = quantize(folded, ranges["onnxruntime"], ONNXRUNTIME, head(simplified))
    assert quantized.graph.inputs[0].dtype == ir.DataType.UINT8
    operators = optimized_operators(ir.to_proto(quantized).SerializeToString())
    assert operators["QLinearConv"] == [n.op_type for n in simplified.graph].count("Conv")
    assert not {"Conv", "FusedConv", "Cast"} & set(operators)
    assert [n.op_type for n in quantized.graph.inputs[0].consumers()] == ["Transpose"]


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda p: p.name)
def test_a_quantized_graph_of_pixels_says_nearly_what_the_float_graph_says(
    simplified, scans, digits, ranges, placement
):
    expected = run(simplified, normalise(scans, digits.image).astype(np.float32))
    folded = fold_normalisation(simplified, digits.image, placement)
    quantized = quantize(folded, ranges[placement.name], placement, head(simplified))
    assert sqnr_db(expected, run(quantized, scans)) > 30


def test_float16_normalises_in_float32(simplified, scans, digits):
    expected = run(simplified, normalise(scans, digits.image).astype(np.float32))
    pixels = normalise_inside(halve(simplified), digits.image)
    assert sqnr_db(expected, run(pixels, scans)) > 55


def test_float16_goes_around_the_integers_of_pixels(simplified, scans, digits, ranges):
    expected = run(simplified, normalise(scans, digits.image).astype(np.float32))
    folded = fold_normalisation(simplified, digits.image, TENSORRT)
    mixed = halve(quantize(folded, ranges["tensorrt"], TENSORRT, head(simplified)))
    assert sqnr_db(expected, run(mixed, scans)) > 30


def test_the_graph_that_is_given_stays_as_it_is(simplified, digits):
    before = ir.to_proto(simplified).SerializeToString()
    normalise_inside(simplified, digits.image)
    for placement in PLACEMENTS:
        fold_normalisation(simplified, digits.image, placement)
    assert ir.to_proto(simplified).SerializeToString() == before


def test_another_layout_is_refused(simplified, digits):
    with pytest.raises(OptionError, match="layout: given 'NCWH'"):
        normalise_inside(simplified, digits.image, "NCWH")


def test_an_image_of_other_channels_is_refused(simplified):
    with pytest.raises(OptionError, match="images of 3 channels"):
        normalise_inside(simplified, PHOTOGRAPHS)


def test_a_graph_that_takes_pixels_already_is_refused(simplified, digits):
    with pytest.raises(OptionError, match="pixels: given a graph that takes"):
        normalise_inside(normalise_inside(simplified, digits.image), digits.image)


def test_a_graph_that_is_quantized_already_is_refused(simplified, digits, ranges):
    quantized = quantize(simplified, ranges["tensorrt"], TENSORRT, head(simplified))
    with pytest.raises(OptionError, match="expected one ungrouped convolution"):
        fold_normalisation(quantized, digits.image, TENSORRT)
