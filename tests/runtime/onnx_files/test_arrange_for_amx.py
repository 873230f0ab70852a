"""Wide int8 convolutions change their zero point, and nothing changes what they answer."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from runtime.errors import BundleError
from runtime.onnx_files.arrange_for_amx import arrange_for_amx

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(-3, 3, (2, 64, 9, 7)).astype(np.float32)


def int8(*shape, low=-127):
    return RNG.integers(low, 128, shape).astype(np.int8)


def classifier(weights, zero_point=None, second="narrow"):
    """Return two int8 convolutions of 64 channels: one of these weights, and one of 8 channels.

    Args:
        weights: int8 [channels, 64, 3, 3].
        zero_point: of the weights; 0 by default.
        second: which weights the second one has, "narrow" of its own or "wide", those of the first.
    """
    channels = len(weights)
    model = parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[n, 64, h, w] x) => (float[n, {channels}, h, w] y, float[n, m, h, w] z)
        <float s = {{0.03}}, uint8 o = {{120}}, float big = {{4.0}}>
        {{
            q = QuantizeLinear(x, s, o)
            d = DequantizeLinear(q, s, o)
            wide_d = DequantizeLinear<axis = 0>(wide, wide_s, wide_o)
            a = Conv<pads = [1, 1, 1, 1]>(d, wide_d)
            aq = QuantizeLinear(a, big, o)
            y = DequantizeLinear(aq, big, o)
            narrow_d = DequantizeLinear<axis = 0>(narrow, narrow_s, narrow_o)
            b = Conv<pads = [1, 1, 1, 1]>(d, {second}_d)
            bq = QuantizeLinear(b, big, o)
            z = DequantizeLinear(bq, big, o)
        }}
    """)
    zero = np.zeros(channels, np.int8) if zero_point is None else zero_point
    scales = RNG.uniform(0.01, 0.02, channels).astype(np.float32)
    for name, content in {
        "wide": weights,
        "wide_s": scales,
        "wide_o": zero,
        "narrow": int8(8, 64, 3, 3),
        "narrow_s": scales[:8],
        "narrow_o": zero[:8] * 0,
    }.items():
        model.graph.initializer.append(numpy_helper.from_array(content, name))
    return model.SerializeToString()


def arranged(model):
    return arrange_for_amx(memoryview(model))


def stored(model):
    return {
        each.name: numpy_helper.to_array(each)
        for each in onnx.load_from_string(model).graph.initializer
    }


def answers(model):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": IMAGES})


def test_a_wide_convolution_gets_a_zero_point_that_leads_to_matrices():
    weights = int8(128, 64, 3, 3)
    after = stored(arranged(classifier(weights)))
    np.testing.assert_array_equal(after["wide"], weights - 1)
    np.testing.assert_array_equal(after["wide_o"], np.full(128, -1))


def test_the_answers_stay_the_same_bit_by_bit():
    model = classifier(int8(128, 64, 3, 3))
    changed = arranged(model)
    assert changed != model
    for before, after in zip(answers(model), answers(changed), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_zero_point_that_does_not_move_with_its_weights_would_show():
    model = onnx.load_from_string(classifier(int8(128, 64, 3, 3)))
    weights = next(each for each in model.graph.initializer if each.name == "wide")
    moved = numpy_helper.to_array(weights) - np.int8(1)
    before = answers(model.SerializeToString())
    weights.CopyFrom(numpy_helper.from_array(moved, "wide"))
    assert not np.array_equal(before[0], answers(model.SerializeToString())[0])


def test_a_narrow_convolution_stays_as_it_is():
    model = classifier(int8(128, 64, 3, 3))
    for name in ("narrow", "narrow_o"):
        np.testing.assert_array_equal(stored(arranged(model))[name], stored(model)[name])


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(classifier(int8(64, 64, 3, 3)), id="too few channels"),
        pytest.param(classifier(int8(128, 64, 1, 1)), id="too few products"),
        pytest.param(classifier(int8(128, 64, 3, 3, low=-128)), id="no smaller weight than -128"),
        pytest.param(
            classifier(int8(128, 64, 3, 3), np.full(128, 3, np.int8)), id="another zero point"
        ),
        pytest.param(classifier(int8(128, 64, 3, 3), second="wide"), id="shared weights"),
    ],
)
def test_left_alone_is(model):
    assert arranged(model) == model


def test_a_model_without_int8_stays_as_it_is():
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[n] x) => (float[n] y) { y = Relu(x) }
    """).SerializeToString()
    assert arranged(model) == model


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_a_model_that_is_cut_short_is_refused(share):
    model = classifier(int8(128, 64, 3, 3))
    with pytest.raises(BundleError, match="not a whole ONNX file"):
        arranged(model[: int(share * len(model))])
