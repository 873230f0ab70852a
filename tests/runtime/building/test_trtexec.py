import shlex

from runtime.building.orders import EngineOrder
from runtime.building.trtexec import trtexec_command
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.manifest import Engine
from runtime.precision import PrecisionPromise


def command(major, *profiles, **options):
    order = EngineOrder(
        name="fp32-trt",
        engine=Engine(file="fp32-trt.plan", variant="fp32"),
        promise=PrecisionPromise(height=8, width=8, macs={}),
        options=EngineOptions(profiles=tuple(parse_profile(p, 3, 8) for p in profiles), **options),
    )
    return shlex.split(trtexec_command(order, "my model.onnx", "images", major))


def test_10_is_told_what_11_does_by_itself():
    ten, eleven = command(10, "1:4:8"), command(11, "1:4:8")
    assert set(eleven) < set(ten)
    assert set(ten) - set(eleven) == {
        "--stronglyTyped",
        "--useCudaGraph",
        "--useSpinWait",
        "--noDataTransfers",
        "--separateProfileRun",
    }


def test_files_and_shapes_are_those_of_the_order():
    words = command(11, "1:4:8")
    assert words[:3] == ["trtexec", "--onnx=my model.onnx", "--saveEngine=fp32-trt.plan"]
    assert "--minShapes=images:1x3x8x8" in words
    assert "--optShapes=images:4x3x8x8" in words
    assert "--maxShapes=images:8x3x8x8" in words
    assert not any(word.startswith("--profile=") for word in words)


def test_several_profiles_are_numbered():
    words = command(11, "1", "2:4:8")
    assert words.index("--profile=0") < words.index("--profile=1")
    assert words.index("--maxShapes=images:1x3x8x8") < words.index("--profile=1")


def test_a_static_graph_is_given_no_shapes():
    assert not any("Shapes" in word for word in command(11))


def test_every_option_has_its_flag():
    words = command(
        11,
        "4",
        workspace_mib=256,
        tf32=True,
        version_compatible=True,
        hardware_compatibility="ampere_plus",
        strip_weights=True,
        refit=True,
        dla_core=1,
    )
    for flag in (
        "--memPoolSize=workspace:256M",
        "--versionCompatible",
        "--excludeLeanRuntime",
        "--hardwareCompatibilityLevel=ampere+",
        "--stripWeights",
        "--refit",
        "--useDLACore=1",
        "--allowGPUFallback",
    ):
        assert flag in words
    assert "--noTF32" not in words
    assert "--noTF32" in command(11)
