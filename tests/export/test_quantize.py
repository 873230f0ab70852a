"""Quantizing: int8 where each target wants it, and close to the float graph on real digits."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest

from calibration.choose import choose
from calibration.rounded_tensors import head
from calibration.weight_scales import clip_nothing, least_error
from export.quantization.check_quantized import check_quantized
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantize import quantize
from runtime.errors import OptionError
from runtime.onnx_runner import OnnxRunner


def serialize(graph):
    import onnx_ir as ir

    return ir.to_proto(graph).SerializeToString()


def sqnr_db(simplified, quantized, images):
    expected = OnnxRunner.open(serialize(simplified)).logits(images).astype(np.float64)
    # Q/DQ as written: ONNX Runtime must not round more than the graph says.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        serialize(quantized), options, providers=["CPUExecutionProvider"]
    )
    noise = session.run(None, {"images": images})[0] - expected
    return 10 * np.log10(np.square(expected).sum() / np.square(noise).sum())


@pytest.mark.parametrize("placement", [TENSORRT, ONNXRUNTIME], ids=lambda p: p.name)
def test_a_quantized_graph_says_nearly_what_the_float_graph_says(
    simplified, measurement, images, placement
):
    ranges = choose(measurement, "minmax", placement.grid)
    quantized = quantize(simplified, ranges, placement, head(simplified))
    assert sqnr_db(simplified, quantized, images) > 25


def test_the_tensorrt_graph_has_nothing_that_tensorrt_reads_wrong(simplified, measurement):
    ranges = choose(measurement, "minmax", TENSORRT.grid)
    quantized = quantize(simplified, ranges, TENSORRT, head(simplified))
    check_quantized(quantized)
    assert Counter(node.op_type for node in quantized.graph)["DequantizeLinear"] > 20


@pytest.mark.parametrize("placement", [TENSORRT, ONNXRUNTIME], ids=lambda p: p.name)
def test_values_that_are_only_moved_keep_their_scale(simplified, measurement, placement):
    ranges = choose(measurement, "minmax", placement.grid)
    quantized = quantize(simplified, ranges, placement, head(simplified))
    before, after = (
        quantized.graph.initializers[f"{name}.scale"].const_value.numpy()
        for name in ("layer1.2.relu_1", "layer2.0.downsample.pad")
    )
    assert before == after


def test_ranges_of_the_other_target_are_refused(simplified, measurement):
    ranges = choose(measurement, "minmax", ONNXRUNTIME.grid)
    with pytest.raises(OptionError, match="ranges: given for"):
        quantize(simplified, ranges, TENSORRT)


def test_a_quantized_graph_is_not_quantized_again(simplified, measurement):
    ranges = choose(measurement, "minmax", TENSORRT.grid)
    once = quantize(simplified, ranges, TENSORRT, head(simplified))
    with pytest.raises(OptionError, match="quantized already"):
        quantize(once, ranges, TENSORRT, head(simplified))


def test_a_node_that_does_not_exist_is_refused(simplified, measurement):
    ranges = choose(measurement, "minmax", TENSORRT.grid)
    with pytest.raises(OptionError, match="layer9"):
        quantize(simplified, ranges, TENSORRT, ["layer9"])


def test_scales_of_least_error_never_round_worse_than_those_that_clip_nothing():
    weights = np.random.default_rng(0).standard_t(3, (4, 500))

    def error(scales):
        steps = scales[:, None]
        return np.square(np.clip(np.rint(weights / steps), -127, 127) * steps - weights).sum()

    assert error(least_error(weights, 127)) <= error(clip_nothing(weights, 127))
