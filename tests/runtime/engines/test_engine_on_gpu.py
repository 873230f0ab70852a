"""The real thing: engines built, proven, loaded and run on an NVIDIA GPU, by what is installed."""

import dataclasses
import importlib.util
import time

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from runtime.building.build import build
from runtime.building.make_engine import make_engine
from runtime.cuda.gpu import find_gpu
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.errors import EngineError
from runtime.onnx_runner import OnnxRunner
from runtime.precision import PrecisionPromise
from runtime.tensorrt_runner import TensorRtRunner

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU answers here"),
]

SIDE = 64
MACS = {"stem": 32 * 3 * 9 * SIDE * SIDE, "body": 32 * 32 * 9 * SIDE * SIDE}

FLOAT = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 3, height, width] images) => (float[batch, 10] logits)
<float[32, 3, 3, 3] stem, float[32, 32, 3, 3] body, float[10, 32] fc> {
    a = Conv<pads = [1, 1, 1, 1]>(images, stem)
    b = Relu(a)
    c = Conv<pads = [1, 1, 1, 1]>(b, body)
    d = Add(c, b)
    e = Relu(d)
    f = GlobalAveragePool(e)
    g = Flatten(f)
    logits = Gemm<transB = 1>(g, fc)
}
"""
HALF = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 3, height, width] images) => (float[batch, 10] logits)
<float16[32, 3, 3, 3] stem, float16[32, 32, 3, 3] body, float[10, 32] fc> {
    half = Cast<to = 10>(images)
    a = Conv<pads = [1, 1, 1, 1]>(half, stem)
    b = Relu(a)
    c = Conv<pads = [1, 1, 1, 1]>(b, body)
    d = Add(c, b)
    e = Relu(d)
    single = Cast<to = 1>(e)
    f = GlobalAveragePool(single)
    g = Flatten(f)
    logits = Gemm<transB = 1>(g, fc)
}
"""
INTEGER = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 3, height, width] images) => (float[batch, 10] logits)
<float[32, 3, 3, 3] stem, float[32, 32, 3, 3] body, float[10, 32] fc,
 float scale = {0.05}, int8 zero = {0}> {
    a = Conv<pads = [1, 1, 1, 1]>(images, stem)
    b = Relu(a)
    p = QuantizeLinear(b, scale, zero)
    x = DequantizeLinear(p, scale, zero)
    q = QuantizeLinear(body, scale, zero)
    w = DequantizeLinear(q, scale, zero)
    c = Conv<pads = [1, 1, 1, 1]>(x, w)
    d = Add(c, x)
    e = Relu(d)
    f = GlobalAveragePool(e)
    g = Flatten(f)
    logits = Gemm<transB = 1>(g, fc)
}
"""
# Largest difference of a logit, all of which are about 1, from ONNX Runtime on the processor.
CASES = {
    "float32": (FLOAT, {"float32": sum(MACS.values())}, 1e-4),
    "float16": (HALF, {"float16": sum(MACS.values())}, 2e-2),
    "int8": (INTEGER, {"float32": MACS["stem"], "int8": MACS["body"]}, 2e-2),
}


def model(text, seed=0):
    parsed = onnx.parser.parse_model(text)
    rng = np.random.default_rng(seed)
    half = "float16[32" in text
    shapes = {"stem": (32, 3, 3, 3), "body": (32, 32, 3, 3), "fc": (10, 32)}
    for name, shape in shapes.items():
        weights = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        dtype = np.float16 if half and name != "fc" else np.float32
        parsed.graph.initializer.append(numpy_helper.from_array(weights.astype(dtype), name))
    return parsed.SerializeToString()


def images(batch, side=SIDE, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, 3, side, side), dtype=np.float32)


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"])
def flavour(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def options(flavour, *profiles, **more):
    parsed = tuple(parse_profile(text, 3, SIDE) for text in profiles or ("1:8:16",))
    return EngineOptions(flavour=flavour, profiles=parsed, **more)


def make(onnx_file, engine_options, precision="float32"):
    promise = PrecisionPromise(height=SIDE, width=SIDE, macs=CASES[precision][1])
    return make_engine(onnx_file, promise, engine_options)


@pytest.fixture
def open_engine(tmp_path):
    opened = []

    def open_made(made, onnx_file=None):
        path = tmp_path / "engine.plan"
        opened.append(TensorRtRunner.open(made.plan, made.info, path, onnx_file))
        return opened[-1]

    yield open_made
    for runner in opened:
        runner.close()


@pytest.mark.parametrize("precision", CASES)
@pytest.mark.parametrize("count", [1, 5, 16, 37])
def test_an_engine_gives_the_logits_of_its_graph(flavour, precision, count, open_engine):
    text, _, tolerance = CASES[precision]
    onnx_file = model(text)
    runner = open_engine(make(onnx_file, options(flavour), precision))
    batch = images(count)
    expected = OnnxRunner.open(onnx_file).logits(batch)
    for _ in range(3):  # plain, captured, launched
        np.testing.assert_allclose(runner.logits(batch), expected, atol=tolerance)


def test_shapes_and_profiles_may_alternate(flavour, open_engine):
    onnx_file = model(FLOAT)
    profiles = ("1x3x32x32:4x3x64x64:8x3x96x96", "16x3x64x64:32x3x64x64:64x3x64x64")
    runner = open_engine(make(onnx_file, options(flavour, *profiles)))
    reference = OnnxRunner.open(onnx_file)
    for count, side in ((1, 32), (8, 96), (40, 64), (3, 50), (1, 32), (130, 64), (8, 96)) * 3:
        batch = images(count, side, seed=count)
        np.testing.assert_allclose(runner.logits(batch), reference.logits(batch), atol=1e-4)


def test_a_static_engine_takes_any_number_of_images(flavour, open_engine):
    onnx_file = model(
        FLOAT.replace("batch, 3, height, width", "4, 3, 64, 64").replace("batch", "4")
    )
    runner = open_engine(make(onnx_file, EngineOptions(flavour=flavour)))
    reference = OnnxRunner.open(model(FLOAT))
    for count in (1, 4, 6):
        batch = images(count)
        np.testing.assert_allclose(runner.logits(batch), reference.logits(batch), atol=1e-4)


@pytest.mark.parametrize("precision", CASES)
def test_the_inspector_proves_the_precision_or_says_what_it_does_not_show(flavour, precision):
    made = make(model(CASES[precision][0]), options(flavour), precision)
    assert made.info.inspected != bool(made.note)
    assert sum(made.info.precision.values()) == pytest.approx(1)


def test_an_engine_without_weights_gets_them_back_from_its_graph(flavour, open_engine):
    onnx_file = model(FLOAT)
    made = make(onnx_file, options(flavour, strip_weights=True))
    whole = make(onnx_file, options(flavour))
    assert len(made.plan) < len(whole.plan)
    batch = images(4)
    expected = OnnxRunner.open(onnx_file).logits(batch)
    np.testing.assert_allclose(open_engine(made, onnx_file).logits(batch), expected, atol=1e-4)
    with pytest.raises(EngineError, match="expected with it the ONNX file it was built from"):
        open_engine(made, model(FLOAT, seed=1))


def test_a_second_build_uses_the_timings_of_the_first(tmp_path):
    pytest.importorskip("tensorrt")
    onnx_file, built = model(FLOAT), []
    for _ in range(2):
        start = time.perf_counter()
        build(onnx_file, options("tensorrt"), timings=tmp_path)
        built.append(time.perf_counter() - start)
    (cache,) = tmp_path.iterdir()
    assert cache.stat().st_size > 0
    assert built[1] < built[0]


def test_timings_that_do_not_fit_are_begun_anew(tmp_path, caplog):
    pytest.importorskip("tensorrt")
    build(model(FLOAT), options("tensorrt"), timings=tmp_path)
    (cache,) = tmp_path.iterdir()
    cache.write_bytes(b"of another version" * 10)
    build(model(FLOAT), options("tensorrt"), timings=tmp_path)
    assert "begun anew" in caplog.text
    assert not cache.read_bytes().startswith(b"of another")


def test_tensorrt_rtx_compiles_once_and_keeps_it(open_engine, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    made = make(model(FLOAT), options("tensorrt_rtx", target_sms=("current",)))
    first = open_engine(made)
    expected = first.logits(images(2))
    first.close()
    assert (tmp_path / "engine.plan.compiled").stat().st_size > 0
    assert np.array_equal(open_engine(made).logits(images(2)), expected)


def test_an_engine_of_another_gpu_is_not_loaded(flavour, open_engine):
    made = make(model(FLOAT), options(flavour))
    elsewhere = dataclasses.replace(made.info, target_sms=("sm52",))
    with pytest.raises(EngineError, match="engine's GPU is sm52; here it is sm"):
        open_engine(dataclasses.replace(made, info=elsewhere))


def test_the_time_on_the_gpu_is_part_of_the_time_that_passes(flavour, open_engine):
    runner = open_engine(make(model(FLOAT), options(flavour)))
    batch = images(16)
    for _ in range(5):
        runner.logits(batch)
    start = time.perf_counter()
    runner.logits(batch)
    passed_ms = (time.perf_counter() - start) * 1000
    assert 0 < runner.device_ms < passed_ms


def test_a_dla_runs_what_it_can(open_engine):
    trt = pytest.importorskip("tensorrt")
    if trt.Builder(trt.Logger()).num_DLA_cores == 0:
        pytest.skip("this machine has no DLA")
    onnx_file = model(HALF)
    dla = EngineOptions(profiles=(parse_profile("4", 3, SIDE),), dla_core=0)
    batch = images(4)
    expected = OnnxRunner.open(onnx_file).logits(batch)
    runner = open_engine(make(onnx_file, dla, "float16"))
    np.testing.assert_allclose(runner.logits(batch), expected, atol=5e-2)
