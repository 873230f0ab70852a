"""A bundle of every precision: what lies in it, what it says, and whether it proves itself."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from calibration.cli import main as calibrate
from calibration.ranges_file import RangesFile
from export.delivery.edge import find_edge
from export.delivery.pack_edge import pack_edge
from runtime.building.orders import EngineRequest, order_engines
from runtime.bundle import Bundle
from runtime.engines.options import EngineOptions
from runtime.errors import OptionError
from runtime.providers import PROVIDERS
from runtime.schema import from_json
from runtime.verification.verify import verify

VARIANTS = ["fp32", "fp16", "int8.trt", "int8.cpu"]


@pytest.fixture(scope="module")
def manifest(published):
    return Bundle.load(published).manifest


def test_every_precision_is_a_variant_with_its_parity_and_int8_has_its_ranges(published, manifest):
    assert list(manifest.variants) == VARIANTS
    assert [v.precision for v in manifest.variants.values()] == [
        "float32", "float16", "int8", "int8",
    ]  # fmt: skip
    for name in VARIANTS[1:]:
        parity = json.loads((published / f"parity.{name}.json").read_text())
        assert parity["reference"] == "torch float64"
        assert len(parity["cases"]) > len(manifest.golden)
    ranges = from_json(RangesFile, (published / "ranges.json").read_bytes(), "ranges.json")
    assert ranges.images == 120
    assert ranges.peaks


def test_the_manifest_tells_what_runs_in_which_precision_by_layer_and_in_total(manifest):
    for name in ("int8.trt", "int8.cpu"):
        work = manifest.variants[name].work
        assert work.shares["int8"] > 0.999
        assert work.layers["layer2.0.conv1"].precision == "int8"
        assert work.layers["fc"].precision == "float32"
        assert sum(layer.macs for layer in work.layers.values()) == manifest.model.macs
    assert manifest.variants["fp16"].work.shares == {"float16": 1.0}


def test_the_manifest_tells_what_stays_in_float_and_whose_kernels_it_is_for(manifest):
    assert manifest.variants["int8.trt"].placement == "tensorrt"
    assert manifest.variants["int8.cpu"].placement.startswith("onnxruntime")
    assert manifest.variants["int8.cpu"].kept_float["fc"].startswith("head: ")
    assert not manifest.variants["fp16"].kept_float


def test_every_variant_is_judged_on_images_that_were_not_calibrated_on(manifest):
    for name, least_db in (("fp16", 60), ("int8.trt", 30), ("int8.cpu", 30)):
        judgement = manifest.variants[name].judgement
        assert "100 of 100 images in" in judgement.source
        assert judgement.sqnr_db > least_db
        assert judgement.agreement.of == judgement.top1.images == 100
        assert judgement.agreement.low < judgement.agreement.value
        assert judgement.top1.reference_right > 95
    # A hundred images cannot show that a twentieth of a point is all that float16 loses.
    assert manifest.variants["fp16"].judgement.status == "not shown"


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_the_bundle_proves_itself(published, provider):
    if provider != "cpu":
        pytest.importorskip(PROVIDERS[provider].plugin)
    report = verify(Bundle.load(published), provider)
    assert report.passed
    assert len(report.runners) == len(VARIANTS)


def _change_initializer(published, variant, change):
    """Return the variant's model with the first of its changed convolution weights."""
    model = onnx.load(published / f"model.{variant}.onnx")
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if "layer2.1.conv1" in tensor.name and values.ndim == 4:
            tensor.CopyFrom(numpy_helper.from_array(change(values), tensor.name))
            return model.SerializeToString()
    raise AssertionError("the model has no such weights")


@pytest.mark.parametrize("variant", VARIANTS[1:])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: np.roll(w, 1, axis=0), id="channels in another order"),
        pytest.param(lambda w: w[..., ::-1].copy(), id="kernels mirrored"),
        pytest.param(lambda w: 0 * w, id="a layer lost"),
    ],
)
def test_a_wrong_graph_fails_by_its_own_golden_tolerance(published, replace_model, variant, change):
    report = verify(replace_model(variant, _change_initializer(published, variant, change)))
    assert report.first_difference.name.startswith(f"{variant} test_data_set_")


def test_another_scale_of_one_tensor_fails(published, replace_model):
    model = onnx.load(published / "model.int8.trt.onnx")
    (scale,) = (t for t in model.graph.initializer if t.name == "layer3.0.relu.scale")
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) / 8, scale.name))
    assert not verify(replace_model("int8.trt", model.SerializeToString())).passed


def test_engines_are_ordered_of_what_tensorrt_reads_and_never_of_the_cpu_graph(manifest):
    request = EngineRequest(options=EngineOptions(flavour="tensorrt_rtx"))
    orders = order_engines(manifest.variants, manifest.image, request)
    assert [order.engine.variant for order in orders] == ["fp32", "fp16", "int8.trt"]
    with pytest.raises(OptionError, match=r"does not read the variant 'int8\.cpu'"):
        order_engines(manifest.variants, manifest.image, EngineRequest(variants=("int8.cpu",)))


def test_a_jetson_gets_the_graphs_that_its_tensorrt_reads(published, tmp_path):
    import shutil

    folder = tmp_path / "digits"
    shutil.copytree(published, folder)
    packed, archive = pack_edge(Bundle.load(folder), find_edge("jetson", 18), EngineRequest(), None)
    assert list(packed.manifest.variants) == ["fp32", "fp16", "int8.trt"]
    assert all(variant.opset <= 19 for variant in packed.manifest.variants.values())
    assert "int8.trt" in (folder / "trtexec.txt").read_text()
    assert not list(folder.glob("*int8.cpu*"))
    assert archive.exists()


def test_an_engine_of_each_is_built_and_the_bundle_vouches_for_it(published, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
    import shutil

    from runtime.cli import main

    folder = tmp_path / "digits"
    shutil.copytree(published, folder)
    assert main(["build", str(folder), "--rtx", "sm86", "--quiet"]) == 0
    bundle = Bundle.load(folder)
    assert list(bundle.manifest.engines) == ["fp32-rtx", "fp16-rtx", "int8.trt-rtx"]
    info = json.loads((folder / "int8.trt-rtx.plan.json").read_text())
    assert info["precision"]["int8"] > 0.99
    assert verify(bundle).passed


def test_sensitivity_is_told_of_the_ranges_the_variants_were_made_with(published, scans, capsys):
    words = ["sensitivity", str(published), "--data", str(scans / "judged"), "--images", "16"]
    assert calibrate([*words, "--top", "1"]) == 0
    assert "ranges of 120 images from the bundle itself" in capsys.readouterr().err
    assert not published.with_name(f"{published.name}.ranges.json").exists()
