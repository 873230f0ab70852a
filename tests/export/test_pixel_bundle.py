"""Bundles whose graphs take pixels: what is in them, and that nothing of it is off."""

import json

import numpy as np
import onnx
import pytest

from calibration.keys import ModelKey
from calibration.read_graph import read_graph
from export.cli import main
from runtime.bundle import Bundle
from runtime.cli import main as run
from runtime.image_spec import CHANNEL_AXES
from runtime.open_runner import open_runner
from runtime.tensor_file import read_tensor
from runtime.verify import verify

DIGITS = ["resnet20-digits", "--onnx", "--parity-budget", "0"]
INPUTS = {"uint8": "NCHW", "uint8-nhwc": "NHWC"}


@pytest.fixture(scope="module")
def export_one(tmp_path_factory):
    """Return a function that exports the digits classifier for an input, once."""
    made = {}

    def export(given):
        if given not in made:
            folder = tmp_path_factory.mktemp("pixels") / given
            assert main([*DIGITS, "--input", given, "--output", str(folder), "--quiet"]) == 0
            made[given] = Bundle.load(folder)
        return made[given]

    return export


@pytest.fixture(scope="module", params=INPUTS)
def bundle(export_one, request):
    """A bundle that takes pixels, in either layout."""
    return export_one(request.param)


def test_the_manifest_the_file_and_the_golden_vectors_agree_on_pixels(bundle):
    manifest = bundle.manifest
    taken = manifest.variants["fp32"].input
    assert (taken.name, taken.dtype) == ("pixels", "uint8")
    assert taken.shape[CHANNEL_AXES[manifest.pixels]] == "1"
    props = {p.key: p.value for p in onnx.load(bundle.folder / "model.onnx").metadata_props}
    assert props["resnet-deploy.pixels"] == manifest.pixels
    for case in manifest.golden:
        pixels = read_tensor(bundle.read(case.input_file))
        assert pixels.dtype == np.uint8
        assert pixels.shape[CHANNEL_AXES[manifest.pixels]] == 1
    assert [case.content for case in manifest.golden][-1] == "random pixels"
    assert verify(bundle).passed


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
