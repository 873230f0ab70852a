"""Finding where a variant leaves PyTorch: the altered layer is named, a sound graph is not."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from export.cli import main
from export.divergence.diverge import Question, diverge
from export.divergence.plot_depth import plot_depth
from export.divergence.show import summarize
from export.divergence.wish import Wish
from export.samples import sample_images
from runtime.errors import OptionError
from runtime.terminal import Screen

DIGITS = Wish(name="resnet20-digits")
QUIET = Screen(quiet=True)


def look(bundle, variant="fp32", **more):
    return diverge(bundle, Question(wish=DIGITS, variant=variant, **more), QUIET)


def one_weight(values):
    values.flat[values.size // 2] *= 1.5


def one_channel(values):
    values[len(values) // 2] *= -1


def a_bias_by_a_thousandth(values):
    values[len(values) // 2] *= 1.001


def one_integer(values):
    values.flat[values.size // 2] = 127 if values.flat[values.size // 2] < 0 else -127


def test_a_sound_float32_graph_stays_within_rounding(sound):
    found = look(sound, everywhere=True)
    assert not found.left
    assert found.first == ""
    assert found.same_weights
    assert max(tensor.noise_ratio for tensor in found.tensors) < 3
    assert len(found.tensors) == 30  # 19 convolutions, 9 blocks, the pool, fc, and no ReLU
    assert "stays with PyTorch" in summarize(found)


@pytest.mark.parametrize("variant", ["fp16", "int8.trt", "int8.cpu"])
def test_a_sound_variant_of_lower_precision_leaves_nowhere_suddenly(sound, variant):
    found = look(sound, variant, everywhere=True)
    assert found.first == ""
    assert 25 < found.answer_db < 80
    assert abs(found.answer_as_run_db - found.answer_db) < 4
    assert all(tensor.scaled for tensor in found.tensors[:-1]) == (variant == "int8.trt")


@pytest.mark.parametrize("node", ["conv1", "layer1.2.conv1", "layer3.0.conv2", "fc"])
@pytest.mark.parametrize("change", [one_weight, one_channel])
def test_one_altered_weight_of_a_float32_graph_names_its_layer(altered, node, change):
    found = look(altered("fp32", node, change))
    assert found.first == node
    assert found.left
    assert found[node].noise_ratio > 1000


def test_a_bias_off_by_a_thousandth_names_its_layer_and_channel(altered):
    found = look(altered("fp32", "layer2.1.conv2", a_bias_by_a_thousandth, index=2))
    assert (found.first, found["layer2.1.conv2"].worst_channel) == ("layer2.1.conv2", 16)
    assert "its weights are off by" in summarize(found)


@pytest.mark.parametrize("variant", ["fp16", "int8.trt", "int8.cpu"])
@pytest.mark.parametrize("node", ["conv1", "layer2.0.conv2", "fc"])
def test_an_altered_channel_of_a_lower_precision_names_its_layer(altered, variant, node):
    found = look(altered(variant, node, one_channel), variant)
    assert found.first == node
    assert node in summarize(found)


def test_one_altered_integer_stands_out_among_the_channels(altered):
    found = look(altered("int8.cpu", "layer2.0.conv2", one_integer), "int8.cpu")
    assert found.first == "layer2.0.conv2"
    assert found["layer2.0.conv2"].worst_channel == 16
    assert found["layer2.0.conv2"].fall_db < 15  # the tensor as a whole does not show it


def test_a_nan_is_found_where_it_arises(altered):
    def spoil(values):
        values.flat[0] = np.nan

    found = look(altered("fp32", "layer2.1.conv1", spoil))
    assert found.first == "layer2.1.conv1"
    json.dumps(found[found.first].sqnr_db, allow_nan=False)


def test_weights_of_another_training_are_a_finding_of_their_own(sound, capsys):
    folder = str(sound.folder)
    assert main(["diverge", "resnet20-digits", folder, "--weights", "random", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert "not those the bundle was exported from" in captured.err
    assert captured.err.splitlines()[-1].startswith("error: fp32 leaves PyTorch at conv1")


def test_the_command_shows_a_table_and_draws(sound, tmp_path, capsys):
    plot = tmp_path / "depth.svg"
    words = ["diverge", "resnet20-digits", str(sound.folder), "--variant", "int8.trt"]
    assert main([*words, "--plot", str(plot)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["tensor", "SQNR", "dB", "fall", "dB", "x", "others", "channel"]
    assert max(map(len, lines[:-1])) <= 80
    assert "nowhere suddenly" in lines[-1]
    assert "equalized" in captured.err
    svg = plot.read_text()
    assert "prefers-color-scheme: dark" in svg
    assert "#010203" not in svg
    assert ">layer3.0<" in re.sub(r"\s+", "", svg)


def test_the_document_holds_what_the_table_shows(sound, capsys):
    assert main(["diverge", "auto", str(sound.folder), "--json", *WEIGHTS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["same_weights"]
    assert document["tensors"][0]["module"] == "conv1"
    assert document["first"] == ""


WEIGHTS = ["--weights", "export/models/weights/resnet20-digits.safetensors"]


def test_the_same_finding_draws_the_same_bytes(sound):
    found = look(sound, "fp16")
    assert plot_depth(found) == plot_depth(found)


def test_graphs_that_take_pixels_are_shown_the_same_images(tmp_path):
    folder = tmp_path / "pixels"
    order = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--quiet"]
    order += ["--input", "uint8-nhwc"]
    assert main([*order, "--output", str(folder)]) == 0
    assert main(["diverge", "resnet20-digits", str(folder), "--quiet"]) == 0


def test_a_static_graph_is_shown_its_own_size(tmp_path):
    folder = tmp_path / "static"
    order = ["resnet20-digits", "--onnx", "--static", "3x1x16x12", "--quiet"]
    assert main([*order, "--output", str(folder)]) == 0
    assert main(["diverge", "resnet20-digits", str(folder), "--quiet"]) == 0


def test_images_of_a_folder_are_taken(sound):
    samples = sample_images("digits")[0].parent
    found = look(sound, data=samples, images=3)
    assert (found.images, found.shown) == (3, str(samples))


def test_an_image_that_cannot_be_read_is_skipped_by_name(sound, tmp_path, capsys):
    shutil.copytree(sample_images("digits")[0].parent, tmp_path / "some")
    broken = tmp_path / "some" / "digit-3.png"
    broken.write_bytes(b"no image")
    words = ["diverge", "resnet20-digits", str(sound.folder), "--data", str(tmp_path / "some")]
    assert main([*words, "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["images"], len(document["skipped"])) == (9, 1)
    assert captured.err.startswith(f"warning: skipped {broken}: not an image")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resnet20-digits", "{missing}"], "there is no bundle"),
        (["resnet20-digits", "{bundle}", "--variant", "int4"], "no variant 'int4'; it has: fp32"),
        (["resnet20", "{bundle}"], "is of resnet20-digits, given resnet20"),
        (["resnet18", "{bundle}", "--weights", "random"], "is not of resnet18: its layer 'conv1'"),
        (["resnet20-digits", "{bundle}", "--data", "{missing}"], "there is no folder"),
        (["resnet20-digits", "{bundle}", "--data", "{empty}"], "no image"),
        (
            ["resnet20-digits", "{bundle}", "--data", "{broken}"],
            "none of 1 images could be read; the first: ",
        ),
        (["resnet20-digits", "{bundle}", "--images", "0"], "expected at least 1"),
        (["resnet20-digits", "{bundle}", "--weights", "{missing}"], "missing"),
        (["resnet20-digits", "{bundle}", "--plot", "{missing}.png"], "ends in .svg"),
        (["resnet20-digits", "{bundle}", "--plot", "{broken}/no.png/p.svg"], "is a file"),
    ],
)
def test_what_cannot_work_is_one_line(sound, tmp_path, capsys, words, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "no.png").write_bytes(b"no image")
    places = {
        "bundle": sound.folder,
        "missing": tmp_path / "missing",
        "empty": tmp_path / "empty",
        "broken": tmp_path / "broken",
    }
    given = [word.format(**places) for word in words]
    assert main(["diverge", *given, "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err


def test_a_file_of_weights_must_be_given_again(sound):
    weights = dataclasses.replace(sound.manifest.weights, origin="file", detail="best.pth")
    manifest = dataclasses.replace(sound.manifest, weights=weights)
    bundle = dataclasses.replace(sound, manifest=manifest)
    with pytest.raises(OptionError, match=r"the weights 'best.pth'.*give them: --weights FILE"):
        look(bundle)
