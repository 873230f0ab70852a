"""Engines are built for real, with TensorRT-RTX: it needs no GPU to build."""

import signal
import subprocess
import sys

import onnx
import pytest

from runtime.building.build import build, check_machine
from runtime.cuda.gpu import Gpu, find_gpu
from runtime.engines.options import EngineOptions
from runtime.engines.plan_header import read_plan_header
from runtime.engines.profile import parse_profile
from runtime.engines.tensorrt_module import load_tensorrt
from runtime.errors import EngineError, OptionError

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")

CONV = """
<ir_version: 10, opset_import: ["" : 18]>
classifier (float[batch, 3, height, width] images) => (float[batch, 4] logits)
<float[4, 3, 3, 3] weights = {WEIGHTS}> {
    features = Conv<pads = [1, 1, 1, 1]>(images, weights)
    pooled = GlobalAveragePool(features)
    logits = Flatten(pooled)
}
""".replace("WEIGHTS", ", ".join(str(0.01 * n) for n in range(108)))
FIXED = CONV.replace("batch, 3, height, width", "2, 3, 8, 8").replace("batch, 4", "2, 4")

needs_no_gpu = pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
ORIN = Gpu(name="Orin", sm="sm87", memory_mib=7620, cuda="12.6")


def model(text):
    return onnx.parser.parse_model(text).SerializeToString()


def rtx(*profiles, **options):
    parsed = tuple(parse_profile(text, channels=3, side=8) for text in profiles)
    return EngineOptions(flavour="tensorrt_rtx", profiles=parsed, **options)


@pytest.mark.parametrize("profiles", [("1:4:8",), ("1", "1x3x4x4:2x3x8x8:8x3x16x16")])
def test_a_dynamic_graph_becomes_an_engine_with_its_profiles(profiles):
    header = read_plan_header(build(model(CONV), rtx(*profiles)))
    assert header.flavour == "tensorrt_rtx"
    assert load_tensorrt("tensorrt_rtx").version.startswith(header.version)


@pytest.mark.parametrize("profiles", [(), ("2",)])
def test_a_static_graph_needs_no_profile_and_takes_its_own(profiles):
    assert build(model(FIXED), rtx(*profiles))


@pytest.mark.parametrize("targets", [("sm75",), ("sm86",), ("sm89", "sm120")])
def test_an_engine_is_for_the_gpus_that_were_asked_for(targets):
    plan = build(model(CONV), rtx("1:4:8", target_sms=targets))
    assert read_plan_header(plan).sms == targets


def test_without_a_target_an_engine_is_for_ampere_and_newer():
    sms = read_plan_header(build(model(CONV), rtx("1:4:8"))).sms
    assert {"sm80", "sm86", "sm89", "sm120"} <= set(sms)
    assert "sm75" not in sms


def test_a_target_that_this_version_lacks_is_refused_with_those_it_has():
    with pytest.raises(EngineError, match=r"has no 'sm99'; it has: .*sm86"):
        build(model(CONV), rtx("1:4:8", target_sms=("sm99",)))


def test_all_levels_and_limits_are_taken():
    options = rtx("1:4:8", workspace_mib=64, optimization_level=5, tf32=True)
    assert build(model(CONV), options)


def test_progress_is_told_as_a_share_that_grows():
    seen = []
    build(model(CONV), rtx("1:4:8"), progress=lambda share, phase: seen.append((share, phase)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] <= 1
    assert all(phase for _, phase in seen)


def test_what_progress_raises_ends_the_build():
    def fail(share, phase):
        raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="the terminal is gone"):
        build(model(CONV), rtx("1:4:8"), progress=fail)


def test_ctrl_c_ends_a_build():
    code = f"""
import os, signal, time
from runtime.building.build import build
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile

steps = 0

def interrupt(share, phase):
    global steps
    steps += 1
    if steps == 1:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

options = EngineOptions(flavour="tensorrt_rtx", profiles=(parse_profile("1:4:8", 3, 8),))
try:
    build({model(CONV)!r}, options, progress=interrupt)
finally:
    print(steps)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode in (-signal.SIGINT, 130)
    assert run.stderr.strip().endswith("KeyboardInterrupt")
    assert run.stdout == "1\n"


def test_a_dynamic_graph_without_a_profile_is_refused():
    with pytest.raises(OptionError, match=r"the graph takes images \?x3x\?x\?; expected a profile"):
        build(model(CONV), rtx())


@pytest.mark.parametrize("profile", ["1x1x8x8", "4x3x8x8", "2x3x9x8"])
def test_a_profile_that_is_not_the_graphs_is_refused(profile):
    options = EngineOptions(
        flavour="tensorrt_rtx",
        profiles=(parse_profile(profile, channels=int(profile[2]), side=8),),
    )
    with pytest.raises(OptionError, match="the graph takes images 2x3x8x8"):
        build(model(FIXED), options)


def test_a_graph_that_tensorrt_refuses_is_told_by_the_nodes_own_names():
    text = CONV.replace("GlobalAveragePool(features)", "ReduceMean(features, axes)").replace(
        "features = Conv", "axes = Shape(images)\n    features = Conv"
    )
    graph = onnx.parser.parse_model(text)
    graph.graph.node[-2].name = "avgpool.mean"
    with pytest.raises(EngineError, match=r"ReduceMean 'avgpool.mean': .*Axis input") as failure:
        build(graph.SerializeToString(), rtx("1:4:8"))
    assert "\n" not in str(failure.value)


def test_a_layer_that_the_builder_refuses_is_named():
    text = CONV.replace(
        "logits = Flatten(pooled)", "flat = Flatten(pooled)\n    logits = Gemm(flat, fc)"
    )
    text = text.replace("> {", ", float[4, 4] fc = {" + ", ".join(["0.5"] * 16) + "}> {")
    graph = onnx.parser.parse_model(text)
    graph.graph.node[-1].name = "classifier.fc"
    # Turing has no kernel for a matrix product in float32.
    with pytest.raises(
        EngineError, match=r"cannot build this engine: .*'classifier.fc'.*build the float16"
    ):
        build(graph.SerializeToString(), rtx("1:4:8", target_sms=("sm75",)))


@pytest.mark.parametrize("onnx_file", [b"", b"not a model", model(CONV)[:200]])
def test_a_file_that_is_no_model_is_refused(onnx_file):
    with pytest.raises(EngineError, match=r"does not take this graph|has 0 inputs"):
        build(onnx_file, rtx("1:4:8"))


def test_a_graph_with_two_inputs_is_refused():
    two = CONV.replace("width] images)", "width] images, float[batch, 4] more)")
    two = two.replace(
        "logits = Flatten(pooled)", "flat = Flatten(pooled)\n    logits = Add(flat, more)"
    )
    with pytest.raises(EngineError, match="2 inputs and 1 outputs"):
        build(model(two), rtx("1:4:8"))


def test_without_a_gpu_tensorrt_says_where_to_build():
    with pytest.raises(EngineError, match=r"python -m runtime build BUNDLE; .* --rtx"):
        check_machine(EngineOptions(), gpu=None)


@pytest.mark.parametrize(
    "options", [{"refit": True}, {"strip_weights": True}, {"target_sms": ("current",)}]
)
def test_what_tensorrt_rtx_cannot_do_without_a_gpu_is_refused_at_once(options):
    with pytest.raises(EngineError, match="no NVIDIA GPU answers here"):
        check_machine(rtx(**options), gpu=None)


def test_profiles_larger_than_the_gpus_memory_are_refused():
    check_machine(EngineOptions(profiles=(parse_profile("1:8:32", 3, 224),)), ORIN)
    with pytest.raises(EngineError, match=r"about 12,\d+ MiB .* the Orin has 7,620 MiB"):
        check_machine(EngineOptions(profiles=(parse_profile("1:8:1024", 3, 224),)), ORIN)


@needs_no_gpu
def test_the_build_itself_refuses_a_machine_without_a_gpu():
    with pytest.raises(EngineError, match="no NVIDIA GPU answers here"):
        build(model(CONV), EngineOptions())


def test_a_flavour_that_does_not_exist_is_refused():
    with pytest.raises(OptionError, match=r"given 'trt'; expected tensorrt or tensorrt_rtx"):
        load_tensorrt("trt")


def test_a_missing_library_is_told_with_the_command_that_installs_it():
    code = (
        "from runtime.engines.tensorrt_module import load_tensorrt; load_tensorrt('tensorrt_rtx')"
    )
    path = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
    path += "sys.modules['tensorrt_rtx'] = None; "
    run = subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=False
    )
    assert "pip install 'resnet-deploy[rtx]'" in run.stderr


def test_one_logger_serves_the_whole_process():
    assert load_tensorrt("tensorrt_rtx") is load_tensorrt("tensorrt_rtx")


def test_no_module_of_the_build_imports_tensorrt_by_itself():
    code = "import runtime.building.build, sys; "
    code += "print({'tensorrt', 'tensorrt_rtx', 'onnx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
