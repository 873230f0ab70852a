import dataclasses
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from runtime.errors import BackendError, BundleError, OptionError, ProviderError
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import open_runner
from runtime.providers import describe_strays

MEAN_COLOUR = """
<ir_version: 10, opset_import: ["" : 18]>
mean_colour (float[batch, 3, height, width] images) => (float[batch, 3] logits) {
    pooled = GlobalAveragePool(images)
    logits = Flatten(pooled)
}
"""
FIXED = MEAN_COLOUR.replace("batch, 3, height, width", "2, 3, 8, 8")
SEVEN_VALUES = """
<ir_version: 10, opset_import: ["" : 18]>
seven (float[batch, channels, height, width] images) => (float[a, b] logits)
<int64[2] shape = {1, 7}> {
    logits = Reshape(images, shape)
}
"""
EXTERNAL_BIAS = """
<ir_version: 10, opset_import: ["" : 18]>
biased (float[batch, 3, height, width] images) => (float[batch, 3] logits)
<float[3] bias = ["location": "LOCATION"]> {
    pooled = GlobalAveragePool(images)
    flat = Flatten(pooled)
    logits = Add(flat, bias)
}
"""


def model(text):
    return onnx.parser.parse_model(text).SerializeToString()


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("text", [MEAN_COLOUR, FIXED])
def test_bytes_and_file_give_the_logits_of_the_model(text, images, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(model(text))
    for source in (file, file.read_bytes()):
        runner = OnnxRunner.open(source, threads=1)
        np.testing.assert_allclose(runner.logits(images), images.mean(axis=(2, 3)), atol=1e-6)
        assert runner.name == "onnxruntime cpu"
        assert runner.notes == ()


def test_batch_height_and_width_may_vary_where_the_model_says_so(images):
    runner = OnnxRunner.open(model(MEAN_COLOUR))
    for varied in (images[:1], images[:, :, :5], images[:, :, :, :3], images[:0]):
        assert runner.logits(varied).shape == (len(varied), 3)


def test_images_need_not_be_contiguous(images):
    backwards = images[::-1, :, ::2, ::-1]
    logits = OnnxRunner.open(model(MEAN_COLOUR)).logits(backwards)
    np.testing.assert_allclose(logits, backwards.mean(axis=(2, 3)), atol=1e-6)


def test_logits_are_the_callers_to_keep(images):
    runner = OnnxRunner.open(model(FIXED))
    first = runner.logits(images)
    kept = first.copy()
    second = runner.logits(images + 1)
    assert np.array_equal(first, kept)
    first[:] = 0
    assert not np.array_equal(second, first)


@pytest.mark.parametrize(
    ("text", "shape", "dtype", "expected"),
    [
        (MEAN_COLOUR, (1, 1, 8, 8), np.float32, r"float32 \[any, 3, any, any\]"),
        (MEAN_COLOUR, (3, 8, 8), np.float32, r"float32 \[any, 3, any, any\]"),
        (MEAN_COLOUR, (1, 3, 8, 8), np.float64, r"float32 \[any, 3, any, any\]"),
        (MEAN_COLOUR, (1, 3, 8, 8), np.uint8, r"float32 \[any, 3, any, any\]"),
        (FIXED, (1, 3, 8, 8), np.float32, r"float32 \[2, 3, 8, 8\]"),
        (FIXED, (2, 3, 8, 9), np.float32, r"float32 \[2, 3, 8, 8\]"),
    ],
)
def test_images_the_model_does_not_take_are_refused(text, shape, dtype, expected):
    with pytest.raises(BackendError, match=expected) as caught:
        OnnxRunner.open(model(text)).logits(np.zeros(shape, dtype))
    assert str(list(shape)) in str(caught.value)


def test_failure_while_running_is_one_line_and_nothing_else(capfd):
    runner = OnnxRunner.open(model(SEVEN_VALUES))
    assert runner.logits(np.ones((1, 1, 1, 7), np.float32)).shape == (1, 7)
    with pytest.raises(
        BackendError, match=r"cannot run on images of shape \[1, 3, 8, 8\]"
    ) as error:
        runner.logits(np.zeros((1, 3, 8, 8), np.float32))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"not a model at all" * 20,
        lambda data: data.replace(b"Flatten", b"Flutter"),
    ],
    ids=["empty", "truncated", "garbage", "unknown operator"],
)
def test_broken_model_is_one_line_and_nothing_else(damage, tmp_path, capfd):
    broken = damage(model(MEAN_COLOUR))
    file = tmp_path / "model.onnx"
    file.write_bytes(broken)
    for source in (broken, file):
        with pytest.raises(BundleError, match="not a model that ONNX Runtime can load") as error:
            OnnxRunner.open(source)
        assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"absent\.onnx"):
        OnnxRunner.open(tmp_path / "absent.onnx")


def test_opset_from_the_future_is_the_backends_limit():
    with pytest.raises(BackendError, match=r"Opset 999 .* install a newer ONNX Runtime"):
        OnnxRunner.open(model(MEAN_COLOUR.replace("18", "999")))


@pytest.mark.parametrize(
    "text",
    [
        MEAN_COLOUR.replace("images)", "images, float[1] more)", 1),
        MEAN_COLOUR.replace("float[", "double[").replace("GlobalAveragePool", "Identity"),
    ],
    ids=["two inputs", "double precision"],
)
def test_model_that_is_no_classifier_of_images_is_refused(text):
    with pytest.raises(BundleError, match="expected one float32 or uint8 input and at"):
        OnnxRunner.open(model(text))


def test_several_outputs_are_joined_into_one_row_an_image(images):
    both = MEAN_COLOUR.replace("logits) {", "logits, float[batch, 3, 1, 1] pooled) {")
    one, two = OnnxRunner.open(model(MEAN_COLOUR)), OnnxRunner.open(model(both))
    logits, pooled = two.outputs(images)
    assert np.array_equal(logits, one.logits(images))
    assert np.array_equal(two.logits(images), np.hstack([logits, pooled.reshape(len(images), -1)]))


def test_weights_in_the_models_folder_are_read_and_others_are_not(images, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    bias = np.array([1, 2, 3], np.float32)
    (folder / "bias.bin").write_bytes(bias.tobytes())
    (tmp_path / "secret.bin").write_bytes(bias.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    file = folder / "model.onnx"

    file.write_bytes(model(EXTERNAL_BIAS.replace("LOCATION", "bias.bin")))
    expected = images.mean(axis=(2, 3)) + bias
    np.testing.assert_allclose(OnnxRunner.open(file).logits(images), expected, atol=1e-6)

    for hostile in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin"):
        file.write_bytes(model(EXTERNAL_BIAS.replace("LOCATION", hostile)))
        for source in (file, file.read_bytes()):
            with pytest.raises(BackendError, match=r"[Ee]xternal data"):
                OnnxRunner.open(source)


def test_unknown_provider_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match="given 'coreml'; expected one of cpu, cuda, tensorrt"):
        OnnxRunner.open(model(MEAN_COLOUR), "coreml")


def test_negative_thread_count_is_refused():
    for threads in (-1, 100_000):
        with pytest.raises(OptionError, match=f"threads: given {threads}; expected 0 to 1024"):
            OnnxRunner.open(model(MEAN_COLOUR), threads=threads)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_provider_runs_every_node_or_the_error_names_what_is_missing(provider, images, capfd):
    try:
        runner = OnnxRunner.open(model(MEAN_COLOUR), provider)
    except ProviderError as error:
        message = str(error)
    else:  # a machine with a GPU
        assert runner.name == f"onnxruntime {provider}"
        np.testing.assert_allclose(runner.logits(images), images.mean(axis=(2, 3)), atol=1e-5)
        return
    assert message.startswith(f"provider '{provider}': ")
    assert any(piece in message for piece in ("built without", "not found", "no NVIDIA GPU"))
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_fallback_is_taken_only_when_allowed_and_said_aloud(provider, images, capfd):
    runner = OnnxRunner.open(model(MEAN_COLOUR), provider, allow_fallback=True)
    np.testing.assert_allclose(runner.logits(images), images.mean(axis=(2, 3)), atol=1e-5)
    if runner.name != f"onnxruntime {provider}":
        assert runner.name == "onnxruntime cpu"
        assert runner.notes[0].startswith(f"provider '{provider}': ")
        assert runner.notes[-1].endswith("running on cpu instead")
    assert capfd.readouterr() == ("", "")


def test_nodes_on_another_provider_are_named():
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(
        model(MEAN_COLOUR), options, providers=["CPUExecutionProvider"]
    )
    assert describe_strays(session, "cpu") == ""
    strays = describe_strays(session, "cuda")
    assert strays.startswith("provider 'cuda': 2 of 2 nodes run elsewhere: GlobalAveragePool ")
    assert "Flatten" in strays


def test_missing_onnxruntime_is_one_line_with_the_command_that_installs_it():
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from runtime.errors import BackendMissingError\n"
        "try: import runtime.onnx_runner\n"
        "except BackendMissingError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.count("\n") == 1
    assert run.stdout.endswith("Run: pip install resnet-deploy\n")


def test_a_model_of_pixels_takes_uint8_and_nothing_else(images):
    text = MEAN_COLOUR.replace("(float[batch", "(uint8[batch", 1).replace(
        "images) =>", "pixels) =>"
    )
    text = text.replace("pooled =", "images = Cast <to = 1> (pixels)\n    pooled =", 1)
    runner = OnnxRunner.open(model(text))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), np.uint8)
    np.testing.assert_allclose(runner.logits(pixels), pixels.mean(axis=(2, 3)), rtol=1e-6)
    with pytest.raises(BackendError, match=r"expected uint8 .* normalises pixels .* itself"):
        runner.logits(images)
    with pytest.raises(BackendError, match=r"expected float32 .* images that are normalised al"):
        OnnxRunner.open(model(MEAN_COLOUR)).logits(pixels)


def test_int8_of_opset_21_runs_as_it_is_written():
    text = """
        <ir_version: 10, opset_import: ["" : 21]>
        quantized (float[batch, 1, 4, 4] images) => (float[batch, 1, 2, 2] logits)
        <float scale = {0.5}, int8 zero = {0}>
        {
            rounded = QuantizeLinear(images, scale, zero)
            restored = DequantizeLinear(rounded, scale, zero)
            pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (restored)
            positive = Relu(pooled)
            rounded_again = QuantizeLinear(positive, scale, zero)
            logits = DequantizeLinear(rounded_again, scale, zero)
        }
    """
    images = np.arange(-8, 8, dtype=np.float32).reshape(1, 1, 4, 4) / 4
    runner = OnnxRunner.open(onnx.parser.parse_model(text).SerializeToString(), as_written=True)
    assert runner.logits(images).tolist() == [[[[0, 0], [1, 2]]]]


def half_int8():
    """Int8 with float16 around it, whose product of scales is 1e-7: float16 has 6e-8 and 1.2e-7."""
    text = """
        <ir_version: 10, opset_import: ["" : 19]>
        half (float[batch, 3, height, width] images) => (float[batch, 10] logits)
        <float16 step, float16 scale, float16 coarse, float16[10] bias, int8[10, 3, 1, 1] integers,
         int8 zero = {0}>
        {
            given = Cast <to = 10> (images)
            rounded = QuantizeLinear (given, step, zero)
            restored = DequantizeLinear (rounded, step, zero)
            weights = DequantizeLinear (integers, scale, zero)
            convolved = Conv (restored, weights, bias)
            rounded_again = QuantizeLinear (convolved, coarse, zero)
            restored_again = DequantizeLinear (rounded_again, coarse, zero)
            pooled = GlobalAveragePool (restored_again)
            flat = Flatten (pooled)
            logits = Cast <to = 1> (flat)
        }
    """
    made = onnx.parser.parse_model(text)
    values = {
        "step": np.float16(0.001),
        "scale": np.float16(0.0001),
        "coarse": np.float16(0.0004),
        "bias": np.full(10, 0.01, np.float16),
        "integers": np.full((10, 3, 1, 1), 127, np.int8),
    }
    made.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in values.items())
    return made.SerializeToString()


def is_as_written(runner):
    """Whether the runner makes of an image of 0.1 what is written: 3 * 127e-4 * 0.1 + 0.01."""
    logits = runner.logits(np.full((1, 3, 4, 4), 0.1, np.float32))
    return np.allclose(logits, 0.01381, rtol=0.03)


def test_scales_of_int8_with_float16_around_it_are_not_multiplied_in_float16():
    assert is_as_written(OnnxRunner.open(half_int8(), as_written=True))


def test_int8_of_a_bundle_that_is_placed_for_tensorrt_runs_as_it_is_written(publish_tiny, tmp_path):
    def change_manifest(manifest):
        variant = dataclasses.replace(manifest.variants["fp32"], placement="tensorrt")
        return dataclasses.replace(manifest, variants={"fp32": variant})

    bundle = publish_tiny(
        tmp_path / "half",
        change_files=lambda files: files.update({"model.onnx": half_int8()}),
        change_manifest=change_manifest,
    )
    assert is_as_written(open_runner(bundle))
