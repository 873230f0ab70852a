"""python -m export: good input makes a bundle, bad input makes one line and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from export.cli import main

COMMAND = [sys.executable, "-m", "export"]
DIGITS = ["resnet20-digits", "--onnx", "--parity-budget", "0"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The digits bundle, exported once."""
    folder = tmp_path_factory.mktemp("artifacts") / "digits"
    assert main([*DIGITS, "--output", str(folder), "--quiet"]) == 0
    return folder


def test_a_bundle_holds_the_model_its_parity_its_manifest_and_golden_vectors(bundle):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {
        "model.onnx",
        "parity.json",
        "manifest.json",
        "test_data_set_0/input_0.pb",
        "test_data_set_0/output_0.pb",
    } <= names


def test_the_manifest_states_the_contract(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["model"]["name"] == "resnet20-digits"
    assert manifest["weights"]["origin"] == "embedded"
    assert manifest["image"]["channels"] == "L"
    assert manifest["labels"] == list("0123456789")
    assert manifest["variants"]["fp32"]["input"]["shape"] == ["batch", "1", "height", "width"]
    assert manifest["tools"]["torch"]
    assert set(manifest["files"]) >= {"model.onnx", "parity.json"}


def test_a_second_run_replaces_the_bundle_whole(bundle, tmp_path, capsys):
    target = tmp_path / "model"
    for classes in ("10", "7"):
        arguments = ["cifar_resnet20", *DIGITS[1:], "--classes", classes]
        assert main([*arguments, "--output", str(target), "--quiet"]) == 0
    assert json.loads((target / "manifest.json").read_text())["model"]["classes"] == 7
    assert os.listdir(tmp_path) == ["model"]


def test_json_is_one_document_with_the_verdict(tmp_path, capsys):
    arguments = [*DIGITS, "--json", "--quiet", "--output", str(tmp_path / "b")]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parity"]["passed"] is True
    assert document["manifest"]["schema_version"] == 1


def test_random_weights_are_said_plainly(tmp_path, capsys):
    assert main(["cifar_resnet20", *DIGITS[1:], "--output", str(tmp_path / "b")]) == 0
    assert "untrained" in capsys.readouterr().err
    assert json.loads((tmp_path / "b/manifest.json").read_text())["weights"]["origin"] == "random"


def test_piped_output_has_no_control_codes_and_fits_80_columns(tmp_path, capsys):
    assert main([*DIGITS, "--output", str(tmp_path / "b")]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert max(len(line) for line in captured.out.splitlines()) <= 80


def test_the_list_names_every_model_with_its_counted_size(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (resnet50,) = (line for line in lines if line.startswith("resnet50 "))
    assert "25,557,032" in resnet50
    assert " 4.09 " in resnet50
    assert "76.13" in resnet50
    assert max(map(len, lines)) <= 80


def test_a_static_shape_is_kept_and_checked(tmp_path):
    folder = tmp_path / "b"
    arguments = [*DIGITS, "--static", "2x1x8x8", "--output", str(folder)]
    assert main([*arguments, "--quiet"]) == 0
    variant = json.loads((folder / "manifest.json").read_text())["variants"]["fp32"]
    assert variant["input"]["shape"] == ["2", "1", "8", "8"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["resnet5O", "--onnx"], "resnet50"),
        ([], "no model given"),
        (["resnet18"], "nothing to make"),
        (["resnet20-digits", "--onnx", "--opset", "3"], "opset: given 3"),
        (["resnet20-digits", "--onnx", "--static", "8x8"], "--static: given '8x8'"),
        (["resnet20-digits", "--onnx", "--static", "1x3x8x8"], "1 channels"),
        (["resnet20-digits", "--onnx", "--mean", "a,b"], "--mean: given 'a,b'"),
        (["resnet20-digits", "--onnx", "--classes", "11"], "11"),
        (["resnet20-digits", "--onnx", "--channels", "3"], "3"),
        (["resnet20-digits", "--onnx", "--weights", "missing.pth"], "missing.pth"),
        (["resnet20-digits", "--onnx", "--labels", "missing.txt"], "missing.txt"),
        (["resnet20-digits", "--onnx", "--crop", "0"], "crop"),
        (["resnet20-digits", "--onnx", "--interpolation", "cubist"], "cubist"),
        (["resnet20-digits", "--onnx", "--output", "/proc/nowhere"], "/proc/nowhere"),
        (["resnet20-digits", "--onnx", "--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert expected in error
    assert not list(tmp_path.iterdir())


def test_a_failed_verdict_is_status_1_and_publishes_nothing(tmp_path, capsys):
    # A head ten billion times as large overflows float32 in ONNX Runtime and in PyTorch alike.
    import torch

    from export.checkpoint import read_checkpoint
    from export.load import LoadOptions, load

    module = load("resnet20-digits", LoadOptions()).module
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    weights["fc.weight"] *= 1e38
    torch.save(weights, tmp_path / "huge.pth")
    assert read_checkpoint(tmp_path / "huge.pth")
    arguments = [*DIGITS, "--weights", str(tmp_path / "huge.pth")]
    assert main([*arguments, "--output", str(tmp_path / "b")]) == 1
    assert "parity failed" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.5, 4.0])
def test_a_run_that_is_ended_leaves_the_old_bundle_whole(bundle, tmp_path, number, seconds):
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    child = subprocess.Popen(
        [*COMMAND, "resnet20-digits", "--onnx", "--output", str(bundle)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    child.send_signal(number)
    _, errors = child.communicate()
    assert "Traceback" not in errors
    if child.returncode == 0:  # it was done before it could be ended
        return
    after = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert after == before
