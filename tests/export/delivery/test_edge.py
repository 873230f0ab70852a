"""From a command line to what a device needs, and plans of it; engines are built for real."""

import json
import tarfile

import pytest

from export.cli import main
from runtime.building.orders import EngineRequest, order_engines
from runtime.bundle import Bundle
from runtime.cuda.gpu import find_gpu
from runtime.engines.open_engine import read_bundled_engine
from runtime.verification.verify import verify

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
needs_no_gpu = pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")

EXPORT = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--quiet"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def jetson(tmp_path_factory):
    """Return the folder of an edge bundle; tests share it and none changes it."""
    root = tmp_path_factory.mktemp("edge")
    timings = root / "timings"
    timings.mkdir()
    (timings / "timing.10.3.0.sm87.orin.cache").write_bytes(b"timings")
    folder = root / "my bündel"
    options = ["--edge", "jetson", "--timing-cache", str(timings), "--profile", "1:4:8"]
    assert main([*EXPORT, *options, "--output", str(folder)]) == 0
    return folder


def test_a_device_gets_what_it_needs_and_nothing_more(jetson):
    bundle = Bundle.load(jetson)
    assert bundle.unlisted() == []
    files = {path for path in bundle.manifest.files if not path.startswith("test_data_set_")}
    wheels = {path for path in files if path.endswith(".whl")}
    assert len(wheels) == 1
    assert files - wheels == {"model.onnx", "trtexec.txt", "timing.10.3.0.sm87.orin.cache"}
    assert bundle.manifest.golden
    assert verify(bundle).passed


def test_the_archive_unpacks_to_the_same_bundle(jetson, tmp_path):
    archive = jetson.with_name(f"{jetson.name}.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    unpacked = Bundle.load(tmp_path / jetson.name)
    assert unpacked.manifest == Bundle.load(jetson).manifest
    assert verify(unpacked).passed


def test_its_graph_can_be_ordered_as_an_engine_there(jetson):
    manifest = Bundle.load(jetson).manifest
    (order,) = order_engines(manifest.variants, manifest.image, EngineRequest())
    assert order.promise.macs.keys() == {"float32"}


def test_trtexec_is_told_the_same_for_both_releases(jetson):
    lines = (jetson / "trtexec.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# fp32-trt, TensorRT 10",
        "# fp32-trt, TensorRT 11",
    ]
    assert all("--maxShapes=images:8x1x8x8" in line for line in lines if line.startswith("trt"))


def test_engines_for_rtx_lie_in_the_bundle(tmp_path, capsys):
    folder = tmp_path / "digits"
    options = ["--rtx", "sm86", "sm89", "--level", "1", "--output", str(folder), "--json"]
    assert main([*EXPORT, *options]) == 0
    document = json.loads(capsys.readouterr().out)
    bundle = Bundle.load(folder)
    _, info = read_bundled_engine(bundle, bundle.manifest.engines["fp32-rtx"])
    assert document["engines"][0]["info"]["target_sms"] == ["sm86", "sm89"] == list(info.target_sms)
    assert document["manifest"]["engines"] == {
        "fp32-rtx": {"file": "fp32-rtx.plan", "variant": "fp32"}
    }
    assert info.options.optimization_level == 1
    assert verify(bundle).passed


@needs_no_gpu
def test_without_a_gpu_tensorrt_ends_in_one_line_and_the_bundle_is_complete(tmp_path, capsys):
    folder = tmp_path / "digits"
    assert main([*EXPORT, "--tensorrt", "--output", str(folder)]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    assert "python -m runtime build BUNDLE; for RTX cards, here: --rtx" in line
    bundle = Bundle.load(folder)
    assert bundle.manifest.engines == {}
    assert verify(bundle).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--edge", "toaster"], "expected one of jetson, rtx, generic"),
        (["--edge", "jetson", "--opset", "21"], "its TensorRT reads up to 19"),
        (["--rtx", "--dla", "0"], "--dla does not exist in TensorRT-RTX"),
        (["--tensorrt", "--level", "9"], "expected 0 to 5"),
        (["--tensorrt", "--hardware-compatible", "all"], "expected one of none, ampere_plus"),
        (["--rtx", "sm86", "--profile", "8:4:2"], "profile: given 8:4:2; expected 1 <= smallest"),
        (["--edge", "jetson", "--profile", "a:b:c"], "profile: given the shape 'a'"),
        (["--profile", "1:2:4"], "--profile: given without engines"),
        (["--rtx", "--profile", "1x3x8x8"], "given 3 channels in '1x3x8x8'; the model has 1"),
        (["--rtx", "--static", "1x1x8x8", "--profile", "1:2:4"], "the graph takes images 1x1x8x8"),
        (["--tensorrt", "--dla", "0"], "a DLA runs one fixed shape"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(options, message, tmp_path, capsys):
    folder = tmp_path / "never"
    talkative = [word for word in EXPORT if word != "--quiet"]
    assert main([*talkative, *options, "--output", str(folder)]) == 2
    *steps, error = capsys.readouterr().err.splitlines()
    assert message in error
    assert all(step.startswith("load ") for step in steps)
    assert not folder.exists()


def test_a_plan_tells_version_memory_and_whether_it_can_be(capsys):
    assert main(["plan", "resnet50", "--edge", "jetson", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (engine,) = document["engines"]
    assert document["machine"] == "Jetson Orin Nano 8 GB, JetPack 6"
    assert engine["version"] == "10.3.0"
    assert engine["preflight"]["obstacles"] == []
    assert engine["preflight"]["memory"]["weights"] == 98
    assert len(document["trtexec"]) == 4


@needs_no_gpu
def test_a_plan_for_this_machine_says_what_is_in_the_way(capsys):
    assert main(["plan", "resnet18", "--tensorrt", "--rtx", "sm75", "sm86"]) == 0
    shown = capsys.readouterr().out
    assert "fp32-trt cannot be built: TensorRT builds an engine on the GPU" in shown
    assert "fp32-rtx-sm75 cannot be built: TensorRT-RTX has no matrix product" in shown
    assert "fp32-rtx cannot" not in shown


def test_a_plan_for_a_dla_wants_float16_and_one_shape(capsys):
    assert main(["plan", "resnet18", "--edge", "jetson", "--dla", "0", "--profile", "8"]) == 0
    assert "choose the float16 variant" in capsys.readouterr().out
    assert main(["plan", "resnet18", "--edge", "jetson", "--dla", "0"]) == 2
    assert "a DLA runs one fixed shape" in capsys.readouterr().err


def test_a_plan_of_a_graph_of_pixels_has_their_name_and_layout(capsys):
    arguments = ["plan", "resnet18", "--edge", "jetson", "--input", "uint8-nhwc", "--profile", "8"]
    assert main(arguments) == 0
    assert "--minShapes=pixels:8x224x224x3" in capsys.readouterr().out


def test_the_same_order_gives_the_same_archive(jetson, tmp_path):
    again = tmp_path / "again" / jetson.name
    timings = jetson.parent / "timings"
    options = ["--edge", "jetson", "--timing-cache", str(timings), "--profile", "1:4:8"]
    assert main([*EXPORT, *options, "--output", str(again)]) == 0
    one, other = (folder.with_name(f"{folder.name}.tar.gz") for folder in (jetson, again))
    assert one.read_bytes() == other.read_bytes()
