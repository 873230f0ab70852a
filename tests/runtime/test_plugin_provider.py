"""OpenVINO, the plugin that needs no GPU: where it runs, and what it would decide by itself."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from runtime.amx import has_amx
from runtime.errors import ProviderError
from runtime.onnx_files.tensor import read_tensor
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import open_runner
from runtime.plugin_provider import add_plugin
from runtime.providers import PROVIDERS, settings
from runtime.verification.verify import verify
from runtime.vnni import has_vnni

OPENVINO = PROVIDERS["openvino"]
pytest.importorskip(OPENVINO.plugin, reason="OpenVINO is not installed: extra 'openvino'")
if not hasattr(onnxruntime, "register_execution_provider_library"):
    pytest.skip("this ONNX Runtime takes no plugins", allow_module_level=True)

# 255 * 127 twice is more than 16 bits hold: what processors without VNNI add them up in.
LOUD = """
<ir_version: 9, opset_import: ["" : 18]>
loud (float[batch, 16, height, width] images) => (float[batch, 16] logits)
<float one = {1.0}, uint8 low = {0}, int8 zero = {0}, int8[16, 16, 1, 1] w> {
  q = QuantizeLinear (images, one, low)
  x = DequantizeLinear (q, one, low)
  v = DequantizeLinear (w, one, zero)
  y = Conv (x, v)
  p = GlobalAveragePool (y)
  logits = Flatten (p)
}
"""
LOUD_IMAGES = np.full((1, 16, 8, 8), 255, np.float32)
LOUD_LOGITS = np.full((1, 16), 16 * 255 * 127, np.float32)


def loud():
    model = onnx.parser.parse_model(LOUD)
    weights = np.full((16, 16, 1, 1), 127, np.int8)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    return model.SerializeToString()


def session_options(provider, options):
    made = onnxruntime.SessionOptions()
    add_plugin(made, "openvino", provider, options)
    return made


def golden(bundle):
    return tuple(
        read_tensor(bundle.read(f"test_data_set_0/{name}.pb")) for name in ("input_0", "output_0")
    )


def test_every_node_runs_there_and_nothing_is_said_or_printed(tiny_bundle, capfd):
    report = verify(tiny_bundle, "openvino")
    assert report.passed
    assert report.runners == ("fp32 in onnxruntime openvino",)
    assert report.notes == ()
    assert capfd.readouterr() == ("", "")


def test_pixels_are_taken_as_they_lie(pixel_bundle):
    assert verify(pixel_bundle, "openvino").passed


@pytest.mark.skipif(not has_amx(), reason="only with AMX does OpenVINO choose bfloat16")
def test_left_alone_it_would_compute_float32_in_bfloat16(tiny_bundle):
    images, expected = golden(tiny_bundle)
    model = tiny_bundle.read("model.onnx")
    (tolerance,) = tiny_bundle.variant("fp32").golden_tolerances

    def gap(options):
        session = onnxruntime.InferenceSession(model, session_options(OPENVINO, options))
        return np.abs(session.run(None, {"images": images})[0] - expected).max()

    assert gap({}) > 10 * tolerance
    assert gap(settings(OPENVINO, model)) < tolerance


CORES_ALLOWED_MEANWHILE = """
import contextlib, os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from runtime.bundle import Bundle
from runtime.open_runner import open_runner

def cores_allowed():
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            yield frozenset(os.sched_getaffinity(int(thread)))

runner = open_runner(Bundle.load(Path(sys.argv[1])), "fp32", "openvino", threads=2)
images = np.zeros((4, 3, 256, 256), np.float32)
allowed = set()
with ThreadPoolExecutor(1) as pool:
    for _ in range(20):
        run = pool.submit(runner.logits, images)
        allowed |= set(cores_allowed())
        while not run.done():
            allowed |= set(cores_allowed())
print(allowed == {frozenset(os.sched_getaffinity(0))})
"""


def test_it_pins_no_thread_to_a_core(tiny_bundle):
    # Those of several processes would all be pinned to the first cores, whoever else is there.
    # In a process of its own: ONNX Runtime pins its own threads where it is not told how many.
    command = [sys.executable, "-c", CORES_ALLOWED_MEANWHILE, str(tiny_bundle.folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("True\n", "")


@pytest.mark.parametrize("as_written", [False, True])
def test_int8_of_full_range_is_exact_with_vnni(as_written):
    if not has_vnni():
        pytest.skip("this processor has no VNNI")
    runner = OnnxRunner.open(loud(), "openvino", as_written=as_written)
    assert np.array_equal(runner.logits(LOUD_IMAGES), LOUD_LOGITS)


def test_without_vnni_its_integers_saturate_whatever_they_are_laid_out_for():
    # That they do proves that they are integers: ONNX Runtime cannot tell what OpenVINO made.
    code = (
        "import sys; import numpy as np; from runtime.onnx_runner import OnnxRunner\n"
        "runner = OnnxRunner.open(sys.stdin.buffer.read(), 'openvino', as_written=True)\n"
        "print(runner.logits(np.full((1, 16, 8, 8), 255, np.float32))[0, 0])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=loud(),
        capture_output=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        check=True,
    )
    assert float(run.stdout) < 0.6 * LOUD_LOGITS[0, 0]


@pytest.mark.parametrize("placement", ["tensorrt", "onnxruntime"])
def test_it_is_told_where_int8_may_saturate(placement, publish_tiny, tmp_path):
    def place(manifest):
        fp32 = manifest.variants["fp32"]
        placed = dataclasses.replace(fp32, placement=placement)
        return dataclasses.replace(manifest, variants={"fp32": fp32, "int8": placed})

    bundle = publish_tiny(tmp_path / "b", change_manifest=place)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : sse4_2 avx2\n")
    (note,) = open_runner(bundle, "int8", "openvino", cpuinfo=cpuinfo).notes
    assert "may saturate" in note
    if placement == "tensorrt":
        assert open_runner(bundle, "int8", "cpu", cpuinfo=cpuinfo).notes == ()


def test_a_device_of_another_kind_is_not_taken():
    elsewhere = dataclasses.replace(OPENVINO, device={"ov_device": "GPU.7"})
    for _ in range(2):  # the second time it is registered already
        with pytest.raises(ProviderError, match="'openvino': OpenVINO finds no processor"):
            session_options(elsewhere, {})


def test_an_option_it_does_not_have_is_an_error_and_not_passed_over(tiny_bundle):
    options = session_options(OPENVINO, {"load_config": '{"CPU": {"NO_SUCH": 1}}'})
    with pytest.raises(Exception, match="Unsupported property NO_SUCH"):
        onnxruntime.InferenceSession(tiny_bundle.read("model.onnx"), options)
