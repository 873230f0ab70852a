"""Engines that take pixels, built for real with TensorRT-RTX: every precision, both layouts."""

import numpy as np
import onnx_ir as ir
import pytest

from calibration.choose import choose
from calibration.measure import measure
from calibration.rounded_tensors import head
from export.build import build
from export.halve import halve
from export.pixels import fold_normalisation, normalise_inside
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantize import quantize
from export.samples import sample_images
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.errors import OptionError
from runtime.open_image import load_image

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")


@pytest.fixture(scope="module")
def graphs(simplified, digits):
    """Return a function that gives the graph of a precision and a layout."""
    images = np.stack([load_image(path, digits.image) for path in sample_images("digits")])
    ranges = choose(measure(simplified, [images]), "minmax", TENSORRT.grid)

    def make(precision, layout):
        if precision == "float32":
            return normalise_inside(simplified, digits.image, layout)
        if precision == "float16":
            return normalise_inside(halve(simplified), digits.image, layout)
        folded = fold_normalisation(simplified, digits.image, TENSORRT, layout)
        quantized = quantize(folded, ranges, TENSORRT, head(simplified))
        return halve(quantized) if precision == "int8 and float16" else quantized

    return make


def engine_of(graph, profile):
    onnx = ir.to_proto(graph).SerializeToString()
    return build(graph, onnx, 8, EngineOptions(flavour="tensorrt_rtx", profiles=(profile,)))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8 and float16"])
def test_tensorrt_takes_the_pixels_of_every_precision(graphs, precision, layout):
    profile = parse_profile("1:4:8", channels=1, side=8, layout=layout)
    made = engine_of(graphs(precision, layout), profile)
    assert made.plan
    assert made.info.precision == {precision.split()[0]: 1.0}
    assert made.info.options.profiles == (profile,)


def test_a_profile_of_the_other_layout_is_refused(graphs):
    profile = parse_profile("1:4:8", channels=1, side=12, layout="NCHW")
    with pytest.raises(OptionError, match=r"the graph takes images \?x\?x\?x1"):
        engine_of(graphs("float32", "NHWC"), profile)


def test_pixels_that_would_be_dequantized_at_once_are_refused_by_name(simplified, digits):
    # TensorRT would read them as int8: pixels above 127 would be negative.
    onnx_runtimes = fold_normalisation(simplified, digits.image, ONNXRUNTIME)
    profile = parse_profile("1:4:8", channels=1, side=8)
    with pytest.raises(OptionError, match=r"misreads 'pixels\.dequantizelinear'"):
        engine_of(onnx_runtimes, profile)
