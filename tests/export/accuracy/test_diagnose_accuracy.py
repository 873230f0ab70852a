"""Naming what makes a model accurate: each cause is found, and none where there is none."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from export.accuracy.diagnose_accuracy import diagnose_accuracy
from export.accuracy.show import summarize
from export.cli import main
from export.load import load
from export.load_options import LoadOptions
from runtime.bundle import Bundle
from runtime.evaluation.dataset import open_dataset
from runtime.terminal import Screen

QUIET = Screen(quiet=True)


def diagnose(bundle, data, module=None, images=0):
    dataset = open_dataset(data).limited(images)
    return diagnose_accuracy(bundle, dataset, bundle.manifest.labels, module, QUIET)


def names(diagnosis):
    return [cause.trial.change for cause in diagnosis.causes]


def test_a_sound_bundle_has_nothing_to_mend(digits_bundle, scans):
    found = diagnose(digits_bundle, scans)
    assert found.causes == ()
    assert found.top1.value > 0.97
    assert found.top1_cured == found.top1
    assert len(found.trials) > 15
    assert summarize(found).startswith(f"none of {len(found.trials)} changes")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"mean": (0.0,), "std": (1.0,)}, "the images' own mean and std"),
        ({"value_range": (0.0, 255.0)}, "values 0..1 before the same mean and std"),
        ({"mean": (77.8,), "std": (95.9,)}, "mean and std meant for 0..255"),
        ({"resize": 16}, "resize 8, the crop's own size"),
        ({"resize": 16, "crop": 16}, "resize 8, crop 8"),
    ],
    ids=["missing", "not divided", "units", "cut", "size"],
)
def test_wrong_preprocessing_is_named(digits_bundle, scans, misled, changes, cause):
    spec = dataclasses.replace(digits_bundle.manifest.image, **changes)
    found = diagnose(misled(digits_bundle, image=spec), scans)
    assert names(found) == [cause]
    assert found.top1_cured.value > 0.97
    assert found.top1_cured.low > found.top1.high
    assert found.causes[0].trial.low > 0


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        ("1234567890", "labels shifted by one"),
        ("9876543210", "labels in reverse"),
        ("3150924867", "labels sorted by name"),
    ],
)
def test_labels_in_another_order_are_named_with_the_right_one(
    digits_bundle, scans, misled, labels, cause
):
    found = diagnose(misled(digits_bundle, labels=tuple(labels)), scans)
    assert names(found) == [cause]
    assert found.causes[0].trial.cure.endswith("0, 1, 2, 3, 4, 5, 6, 7, 8, 9")


def test_an_order_of_no_kind_is_learned(digits_bundle, scans, misled, tmp_path):
    bundle = misled(digits_bundle, labels=tuple("bdacfehgji"))
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for digit, letter in enumerate("fcahbjdieg"):  # what the digit really is called
        (renamed / letter).symlink_to(scans / str(digit))
    dataset = [
        (path, folder.name) for folder in sorted(renamed.iterdir()) for path in folder.iterdir()
    ]
    table = tmp_path / "table.csv"
    table.write_text("".join(f"{path},{label}\n" for path, label in dataset))
    found = diagnose(bundle, table)
    assert names(found) == ["labels in the order the answers tell"]
    assert found.causes[0].trial.cure.endswith("f, c, a, h, b, j, d, i, e, g")


def test_of_two_causes_the_second_is_found_on_top_of_the_first(digits_bundle, scans, misled):
    spec = dataclasses.replace(digits_bundle.manifest.image, mean=(0.0,), std=(1.0,))
    bundle = misled(digits_bundle, image=spec, labels=tuple("1234567890"))
    found = diagnose(bundle, scans)
    assert names(found) == ["labels shifted by one", "the images' own mean and std"]
    assert found.top1_cured.value > 0.97


def test_images_that_are_inverted_are_noticed(digits_bundle, scans, tmp_path):
    for path in scans.glob("*/*.png"):
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        with Image.open(path) as image:
            Image.fromarray(255 - np.asarray(image)).save(target)
    assert names(diagnose(digits_bundle, tmp_path)) == ["black for white"]


def test_the_channel_order_is_named_before_labels_that_would_explain_it_as_well(
    colour_bundle, swatches, misled
):
    assert diagnose(colour_bundle, swatches).top1.value == 1.0
    spec = dataclasses.replace(colour_bundle.manifest.image, channels="BGR")
    found = diagnose(misled(colour_bundle, image=spec), swatches)
    assert names(found) == ["channel order RGB"]
    assert "labels in reverse" in found.causes[0].as_good


def test_statistics_that_were_never_measured_are_found_with_the_module_at_hand(
    tmp_path, scans, digits
):
    state = {name: value.clone() for name, value in digits.module.state_dict().items()}
    for name, value in state.items():
        if name.endswith("running_mean"):
            value.zero_()
        if name.endswith("running_var"):
            value.fill_(1.0)
    weights = tmp_path / "reset.pth"
    torch.save(state, weights)
    folder = tmp_path / "reset"
    words = ["resnet20-digits", "--onnx", "--weights", str(weights), "--parity-budget", "0"]
    words += ["--mean", "0.3051", "--std", "0.3759", "--quiet"]
    assert main([*words, "--output", str(folder)]) == 0
    reset = Bundle.load(folder)
    module = load("resnet20-digits", LoadOptions(weights=str(weights))).module
    found = diagnose(reset, scans, module, images=48)
    assert names(found)[0] == "BatchNorm by the statistics of each batch"
    assert found.top1_cured.value > 0.8


def test_what_no_change_explains_is_not_explained(digits_bundle, scans, tmp_path):
    rng = np.random.default_rng(0)
    table = tmp_path / "mislabelled.csv"
    rows = [f"{path},{rng.integers(10)}\n" for path in sorted(scans.glob("*/*.png"))]
    table.write_text("".join(rows))
    found = diagnose(digits_bundle, table)
    assert found.causes == ()
    assert "as it is, it is no better than guessing one of 10 classes" in found.notes


def test_few_images_prove_nothing_and_say_so(digits_bundle, scans, misled):
    spec = dataclasses.replace(digits_bundle.manifest.image, value_range=(0.0, 255.0))
    bundle = misled(digits_bundle, image=spec)
    dataset = open_dataset(scans).limited(5)
    found = diagnose_accuracy(bundle, dataset, bundle.manifest.labels, None, QUIET)
    assert found.causes == ()
    assert any(note.startswith("5 images cannot prove") for note in found.notes)


def test_a_graph_that_takes_pixels_is_cut_behind_its_normalisation(tmp_path, scans, misled):
    folder = tmp_path / "pixels"
    words = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--input", "uint8-nhwc"]
    assert main([*words, "--output", str(folder), "--quiet"]) == 0
    bundle = Bundle.load(folder)
    found = diagnose(bundle, scans)
    assert found.top1.value > 0.97
    assert found.causes == ()


def test_an_image_that_cannot_be_read_is_skipped(digits_bundle, scans, tmp_path, capsys):
    table = tmp_path / "table.csv"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    rows = [f"{path},{path.parent.name}\n" for path in sorted(scans.glob("*/*.png"))]
    table.write_text("".join([*rows, f"{broken},3\n"]))
    found = diagnose(digits_bundle, table)
    assert found.images == 150
    assert f"skipped {broken}" in capsys.readouterr().err


def test_the_command_tells_the_cause_and_fails(digits_bundle, scans, misled, capsys):
    spec = dataclasses.replace(digits_bundle.manifest.image, mean=(0.0,), std=(1.0,))
    folder = str(misled(digits_bundle, image=spec).folder)
    assert main(["diagnose", folder, "--data", str(scans)]) == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["change", "images", "top-1", "points", "95", "%", "interval"]
    assert max(len(line) for line in lines[:15]) <= 80
    assert "--mean 0.3" in lines[-1]
    assert captured.err.splitlines()[-1].startswith("error: top-1 is ")
    assert main(["diagnose", folder, "--data", str(scans), "--json", "--quiet"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["causes"][0]["trial"]["change"] == "the images' own mean and std"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{missing}", "--data", "{scans}"], "there is no bundle"),
        (["{bundle}", "--data", "{missing}"], "there is no"),
        (["{bundle}", "--data", "{empty}"], "no image"),
        (["{bundle}", "--data", "{loose}"], "nothing tells the class"),
        (["{bundle}", "--data", "{unknown}"], "the model has no class for"),
        (["{bundle}", "--data", "{broken}"], "none of 1 images could be read"),
        (["{bundle}", "--data", "{scans}", "--images", "0"], "expected at least 1"),
        (["{bundle}", "--data", "{scans}", "--weights", "random"], "without --name"),
        (["{bundle}", "--data", "{scans}", "--name", "resnet18"], "is of resnet20-digits"),
    ],
)
def test_what_cannot_work_is_one_line(digits_bundle, scans, tmp_path, capsys, words, said):
    sample = next(iter(scans.glob("3/*.png")))
    for name in ("empty", "loose", "unknown/cat", "broken/3"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("loose", "unknown/cat"):
        (tmp_path / name / "x.png").write_bytes(sample.read_bytes())
    (tmp_path / "broken" / "3" / "x.png").write_bytes(b"no image")
    places = {name: tmp_path / name for name in ("missing", "empty", "loose", "unknown", "broken")}
    given = [word.format(bundle=digits_bundle.folder, scans=scans, **places) for word in words]
    assert main(["diagnose", *given, "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
