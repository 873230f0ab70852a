"""Bundles whose graphs take pixels: what is in them, and that nothing of it is off."""

import json

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from calibration.cli import main as calibrate
from calibration.keys import ModelKey
from calibration.read_graph import read_graph
from export.cli import main
from runtime.bundle import Bundle
from runtime.cli import main as run
from runtime.image_spec import CHANNEL_AXES
from runtime.onnx_files.tensor import read_tensor
from runtime.open_runner import open_runner
from runtime.verification.verify import verify

DIGITS = ["resnet20-digits", "--onnx", "--parity-budget", "0"]
INPUTS = {"uint8": "NCHW", "uint8-nhwc": "NHWC"}
VARIANTS = ["fp32", "fp16", "int8.trt", "int8.cpu"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder of 64 scanned digits."""
    folder = tmp_path_factory.mktemp("scans")
    for index, scan in enumerate(load_digits().images[:64]):
        Image.fromarray((scan * 255 / 16).astype(np.uint8)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def export_one(tmp_path_factory, scans):
    """Return a function that exports the digits classifier for an input, once."""
    made = {}
    reduced = ["--precision", "fp32", "fp16", "int8", "--calibration-data", str(scans)]

    def export(given):
        if given not in made:
            folder = tmp_path_factory.mktemp("pixels") / given
            asked = [*DIGITS, *reduced, "--method", "minmax", "--input", given, "--quiet"]
            assert main([*asked, "--output", str(folder)]) == 0
            made[given] = Bundle.load(folder)
        return made[given]

    return export


@pytest.fixture(scope="module", params=INPUTS)
def bundle(export_one, request):
    """A bundle that takes pixels, in either layout."""
    return export_one(request.param)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_the_pixels_of_its_bundle(bundle, variant):
    taken, layout = bundle.manifest.variants[variant].input, bundle.manifest.pixels
    assert (taken.name, taken.dtype) == ("pixels", "uint8")
    assert taken.shape[CHANNEL_AXES[layout]] == "1"
    file = onnx.load(bundle.folder / bundle.manifest.variants[variant].file)
    assert {p.key: p.value for p in file.metadata_props}["resnet-deploy.pixels"] == layout


def test_the_golden_vectors_are_pixels_and_every_variant_keeps_to_them(bundle):
    manifest = bundle.manifest
    for case in manifest.golden:
        pixels = read_tensor(bundle.read(case.input_file))
        assert pixels.dtype == np.uint8
        assert pixels.shape[CHANNEL_AXES[manifest.pixels]] == 1
    assert manifest.golden[-1].content == "random pixels"
    report = verify(bundle)
    assert report.passed, report.first_difference
    assert [runner.split()[0] for runner in report.runners] == VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_says_of_pixels_what_it_says_of_normalised_images(
    bundle, export_one, variant
):
    normalised = export_one("float32")
    given, expected = bundle.manifest.variants[variant], normalised.manifest.variants[variant]
    assert given.kept_float == expected.kept_float
    if given.judgement is not None:
        # The quantized input is exact, and lost little before: one channel of eight bits. On the 16
        # images judged, which of the two rounds more luckily decides more; a fault costs 10 dB.
        assert given.judgement.sqnr_db > expected.judgement.sqnr_db - 3


def test_parity_is_that_of_float32_rounding(bundle):
    parity = json.loads((bundle.folder / "parity.json").read_text())
    assert max(case["ratio"] for case in parity["cases"]) < 5
    assert {case["content"] for case in parity["cases"]} > {"random pixels"}


def test_golden_answers_are_those_of_the_bundle_of_normalised_images(bundle, export_one):
    normalised = export_one("float32")
    answer = "test_data_set_0/output_0.pb"
    ours, theirs = (read_tensor(each.read(answer)) for each in (bundle, normalised))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_classify_says_the_same_with_either_input(bundle, export_one, capsys):
    said = []
    for folder in (bundle.folder, export_one("float32").folder):
        assert run(["classify", str(folder), "export/samples/digits", "--quiet", "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out)["images"])
    for ours, theirs in zip(*said, strict=True):
        for one, other in zip(ours["classes"], theirs["classes"], strict=True):
            assert one["label"] == other["label"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_ranges_of_either_bundle_are_the_same(bundle, export_one):
    ours, theirs = (
        json.loads(each.read("ranges.json")) for each in (bundle, export_one("float32"))
    )
    assert ours == theirs


def test_calibration_of_a_bundle_of_pixels_measures_what_its_export_measured(
    bundle, export_one, scans, tmp_path
):
    files = []
    for each in (bundle, export_one("float32")):
        files.append(tmp_path / each.folder.name)
        command = [str(each.folder), "--data", str(scans), "--method", "minmax", "--quiet"]
        assert calibrate([*command, "--output", str(files[-1])]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_calibration_reads_is_the_graph_of_normalised_images(bundle, export_one):
    normalised = export_one("float32")
    image = normalised.manifest.image
    keys = [ModelKey.of(read_graph(each), image) for each in (bundle, normalised)]
    assert keys[0] == keys[1]


def test_a_static_shape_of_pixels_is_given_as_that_of_planes(tmp_path):
    folder = tmp_path / "static"
    arguments = [*DIGITS, "--input", "uint8-nhwc", "--static", "2x1x8x12", "--quiet"]
    assert main([*arguments, "--output", str(folder)]) == 0
    bundle = Bundle.load(folder)
    assert bundle.manifest.variants["fp32"].input.shape == ("2", "8", "12", "1")
    assert open_runner(bundle).logits(np.zeros((2, 8, 12, 1), np.uint8)).shape == (2, 10)
    promise = bundle.manifest.variants["fp32"].convolutions
    assert (promise.height, promise.width) == (8, 12)


def test_another_input_is_refused_with_the_known_ones(capsys):
    assert main([*DIGITS, "--input", "int8"]) == 2
    assert "expected one of float32, uint8, uint8-nhwc" in capsys.readouterr().err
