"""Equalizing channels: the same logits, tensors whose channels are alike, less noise in int8."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from calibration.calibrate import calibrate
from calibration.choose import choose
from calibration.equalize import equalize, measure_peaks
from calibration.measure import measure
from calibration.order import Order
from calibration.rounded_tensors import head
from export.fold import fold
from export.load import load
from export.load_options import LoadOptions
from export.quantization.placement import TENSORRT
from export.quantize import quantize
from export.recipes import float32
from export.samples import sample_images
from runtime.errors import OptionError
from runtime.open_image import load_image
from runtime.terminal import Screen


def run(graph, images):
    options = onnxruntime.SessionOptions()
    # Q/DQ as written: ONNX Runtime must not round more than the graph says.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0].astype(np.float64)


def sqnr_db(expected, actual):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - actual).sum())


def assert_same_logits(graph, equalized, images):
    expected = run(graph, images)
    gap = np.abs(run(equalized, images) - expected).max()
    assert gap <= 1e-5 * np.abs(expected).max()


@pytest.fixture(scope="module")
def classifier():
    return load("resnet20-digits", LoadOptions())


@pytest.fixture(scope="module")
def simplified(classifier):
    return float32(fold(classifier), 18, Screen(quiet=True)).graph


@pytest.fixture(scope="module")
def images(classifier):
    return np.stack([load_image(path, classifier.image) for path in sample_images("digits")])


def text_graph(middle, groups=1):
    """Two convolutions with something in between; channel 0 of the first is 40 times the others."""
    graph = ir.from_onnx_text(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[n, 3, h, w] images, float[8, 3, 3, 3] w1, float[8] b1,
           float[2, c, 1, 1] w2, float[2] b2) => (float[n, 2, h, w] logits)
        {{
            conv1 = Conv <pads = [1, 1, 1, 1]> (images, w1, b1)
            between = {middle} (conv1)
            logits = Conv <group = {groups}> (between, w2, b2)
        }}
    """)
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)),
        "b1": rng.standard_normal(8),
        "w2": rng.standard_normal((2, 8 // groups, 1, 1)),
        "b2": rng.standard_normal(2),
    }
    weights["w1"][0] *= 40
    weights["w2"][:, 0] /= 40
    for index, node in enumerate(graph.graph):
        node.name = f"node{index}"
        for value in node.outputs:
            value.type = ir.TensorType(ir.DataType.FLOAT)
            value.shape = ir.Shape(["n", 2 if value.name == "logits" else 8, "h", "w"])
    for value in tuple(graph.graph.inputs)[1:]:
        graph.graph.inputs.remove(value)
        value.const_value = ir.tensor(weights[value.name].astype(np.float32), name=value.name)
        graph.graph.register_initializer(value)
    return graph


def noise(shape=(4, 3, 16, 16)):
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("name", ["resnet20-digits", "resnet18"])
def test_logits_stay_the_same_with_padded_and_with_projected_shortcuts(name):
    graph = float32(fold(load(name, LoadOptions())), 18, Screen(quiet=True)).graph
    images = noise((2, graph.graph.inputs[0].shape[1], 32, 32))
    equalized = equalize(graph, measure_peaks(graph, [images]))
    assert_same_logits(graph, equalized, images)
    changed = {
        node.name
        for node in equalized.graph
        if node.inputs[1:] and str(node.inputs[1].name).endswith(".equalized")
    }
    convolutions = {n.name for n in graph.graph if n.op_type in ("Conv", "Gemm")}
    assert changed == convolutions


def test_grouped_convolutions_read_the_channels_of_their_own_group():
    graph = text_graph("Relu", groups=2)
    equalized = equalize(graph, measure_peaks(graph, [noise()]))
    assert_same_logits(graph, equalized, noise())


def test_a_channel_that_dwarfs_the_others_no_longer_costs_them_their_bits():
    graph = text_graph("Relu")
    equalized = equalize(graph, measure_peaks(graph, [noise()]))
    gained = []
    for each in (graph, equalized):
        ranges = choose(measure(each, [noise()]), "minmax", TENSORRT.grid)
        gained.append(sqnr_db(run(graph, noise()), run(quantize(each, ranges, TENSORRT), noise())))
    assert gained[1] > gained[0] + 6


def test_channels_come_closer_to_each_other(simplified, images):
    before = measure_peaks(simplified, [images])
    after = measure_peaks(equalize(simplified, before), [images])
    spread = [np.median(p["layer3.0.relu"]) / max(p["layer3.0.relu"]) for p in (before, after)]
    assert spread[1] > 1.2 * spread[0]


def test_peaks_are_the_mean_of_the_images_in_batches_of_any_size(simplified, images):
    whole = measure_peaks(simplified, [images])
    one_by_one = measure_peaks(simplified, np.split(images, len(images)))
    singles = [measure_peaks(simplified, [image]) for image in np.split(images, len(images))]
    for name, peaks in whole.items():
        np.testing.assert_allclose(one_by_one[name], peaks, rtol=0.01)
        np.testing.assert_allclose(np.mean([p[name] for p in singles], 0), peaks, rtol=0.02)


def test_an_operator_that_does_not_let_factors_pass_keeps_its_channels():
    graph = text_graph("Sigmoid")
    equalized = equalize(graph, measure_peaks(graph, [noise()]))
    assert {str(value.name) for value in equalized.graph.initializers.values()} == {
        "w1", "b1", "w2", "b2",
    }  # fmt: skip


def test_a_silent_channel_is_not_blown_up():
    graph = text_graph("Relu")
    silent = {"between": (1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)}
    equalized = equalize(graph, silent)
    assert_same_logits(graph, equalized, noise())


@pytest.mark.parametrize("damage", [lambda peak: peak[1:], lambda peak: (-1.0, *peak[1:])])
def test_peaks_that_are_not_those_of_the_channels_are_refused(simplified, images, damage):
    peaks = measure_peaks(simplified, [images])
    name = next(iter(peaks))
    with pytest.raises(OptionError, match=f"peaks of '{name}': .* calibrate again"):
        equalize(simplified, {**peaks, name: damage(peaks[name])})


def test_the_graph_that_is_given_stays_as_it_is(simplified, images):
    before = ir.to_proto(simplified).SerializeToString()
    equalize(simplified, measure_peaks(simplified, [images]))
    assert ir.to_proto(simplified).SerializeToString() == before


def test_int8_for_tensorrt_is_no_worse_for_it(simplified, images):
    equalized = equalize(simplified, measure_peaks(simplified, [images]))
    ranges = choose(measure(equalized, [images]), "minmax", TENSORRT.grid)
    quantized = quantize(equalized, ranges, TENSORRT, head(equalized))
    assert sqnr_db(run(simplified, images), run(quantized, images)) > 30


def test_a_calibration_is_of_the_equalized_graph_and_tells_how_to_make_it(
    simplified, classifier, digits, tmp_path
):
    order = Order(data=digits, checkpoint=tmp_path / "part", method="mse")
    found = calibrate(simplified, classifier.image, order, Screen(quiet=True)).ranges
    scans = np.stack([load_image(path, classifier.image) for path in sorted(digits.iterdir())])
    again, plain = (
        choose(measure(graph, [scans]), "mse", TENSORRT.grid).tensors
        for graph in (equalize(simplified, found.peaks), simplified)
    )
    for name, values in found.ranges(TENSORRT.grid).tensors.items():
        assert values.high == pytest.approx(again[name].high, rel=1e-3)
    assert any(
        values.high != pytest.approx(plain[name].high, 0.02) for name, values in again.items()
    )
