"""python -m export: good input makes a bundle, bad input makes one line and nothing else."""

import json
import os
import signal
import subprocess
import sys

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


def test_piped_output_has_no_control_codes_and_fits_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*DIGITS, "--output", "b"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert max(len(line) for line in captured.out.splitlines()) <= 80
    assert "1x1x8x8     digit-0.png " in captured.out


def test_the_list_names_every_model_with_its_counted_size(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (resnet50,) = (line for line in lines if line.startswith("resnet50 "))
    assert "25,557,032" in resnet50
    assert " 4.09 " in resnet50
    assert "76.13" in resnet50
    assert max(map(len, lines)) <= 80


def test_the_list_shows_every_family_and_cuts_nothing(capsys):
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for name in ("resnet152", "resnext50_32x4d", "wide_resnet50_2", "small_resnet18"):
        assert f"\n{name} " in text
    assert "cifar_resnet110" in text
    assert "…" not in text


@pytest.fixture(scope="module")
def digits_weights():
    """The embedded weights by the names of this project."""
    from export.load import load
    from export.load_options import LoadOptions

    return load("resnet20-digits", LoadOptions()).module.state_dict()


def test_auto_needs_no_name_and_says_what_it_decided(digits_weights, tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    half = {f"module.{k}": v.half() if v.ndim else v for k, v in digits_weights.items()}
    torch.save({"model": half, "model_ema": half}, "lab.pth")
    assert main(["auto", "--weights", "lab.pth", *DIGITS[1:]]) == 0
    said = capsys.readouterr().err
    assert "recognised cifar_resnet20 by the names (torchvision) and shapes" in said
    assert "also holds an average over steps (EMA), 'model_ema': --ema takes it" in said
    assert "converted float16 weights to float32" in said
    assert "--resize --crop --mean --std" in said
    manifest = json.loads((tmp_path / "artifacts/lab/manifest.json").read_text())
    assert manifest["model"]["name"] == "cifar_resnet20"
    assert main(["auto", "--weights", "lab.pth", "--ema", *DIGITS[1:]]) == 0
    assert "took the average over steps (EMA) under ['model_ema']" in capsys.readouterr().err


def test_auto_takes_everything_from_a_file_of_this_project(tmp_path):
    from export.models.sources import WEIGHTS_FOLDER

    file = str(WEIGHTS_FOLDER / "resnet20-digits.safetensors")
    assert main(["auto", "--weights", file, *DIGITS[1:], "--output", str(tmp_path / "b")]) == 0
    manifest = json.loads((tmp_path / "b/manifest.json").read_text())
    assert (manifest["model"]["name"], manifest["labels"][3]) == ("resnet20-digits", "3")
    assert manifest["image"]["mean"] == [0.3051]


def test_weights_that_do_not_fit_are_a_table_and_one_error(digits_weights, tmp_path, capsys):
    import torch

    weights = {**digits_weights, "fc.weight": torch.zeros(10, 3)}
    del weights["layer2.1.bn1.bias"]
    torch.save(weights, tmp_path / "w.pth")
    arguments = ["auto", "--weights", str(tmp_path / "w.pth"), *DIGITS[1:]]
    assert main([*arguments, "--output", str(tmp_path / "b")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(line.split()[:4] == ["layer2", "1", "0", "0"] for line in lines)
    assert any(line.split()[:4] == ["head", "0", "0", "1"] for line in lines)
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert (
        "are not those of cifar_resnet20: 'layer2.1.bn1.bias' is missing (and 1 more)" in lines[-1]
    )


def test_inspect_tells_what_a_file_is(digits_weights, tmp_path, capsys):
    import torch

    torch.save({"net": digits_weights}, tmp_path / "w.pth")
    assert main(["inspect", str(tmp_path / "w.pth")]) == 0
    text = capsys.readouterr().out
    assert "cifar_resnet20" in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["inspect", str(tmp_path / "w.pth"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["model"], document["classes"], document["channels"]) == (
        "cifar_resnet20",
        10,
        1,
    )
    torch.save({**digits_weights, "x": torch.zeros(1)}, tmp_path / "w.pth")
    assert main(["inspect", str(tmp_path / "w.pth"), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["diagnosis"] == {"elsewhere": {"unexpected": ["x"]}}
    assert "no whole cifar_resnet20, the nearest model (tensors amiss: 1)" in captured.err


def bad_files():
    """Ten ways in which a checkpoint is none, or not of one model."""
    import pickle

    import torch

    from export.models.catalogue import find

    weights = find("small_resnet18").build(classes=2, channels=3).state_dict()
    cifar = find("cifar_resnet20").build(classes=2, channels=3).state_dict()

    def saved(document):
        return lambda path: torch.save(document, path)

    bomb = pickle.dumps(os.getcwd, 0)[:-1] + b"(tR."
    nan, whole = torch.full((16,), torch.nan), torch.zeros(16, dtype=torch.int8)
    return {
        "is empty": lambda path: path.write_bytes(b""),
        "git lfs pull": lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec"),
        "damaged": lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
        "it would run 'torch.nn.modules.linear.Linear'": saved(torch.nn.Linear(2, 2)),
        "it would run 'posix.getcwd'": lambda path: path.write_bytes(bomb),
        "a value of type int under 'epoch'": saved({"epoch": 3, "lr": 0.1}),
        "under 'model' and under 'net'": saved({"model": cifar, "net": cifar}),
        "of no known layout": saved({"features.0.weight": torch.zeros(1)}),
        "fit two families: small_resnet18": saved(weights),
        "hold NaN or infinity in 'bn1.bias'": saved({**cifar, "bn1.bias": nan}),
        "is 16 integer, expected 16 floating": saved({**cifar, "bn1.bias": whole}),
        "twice, as 'fc.bias' and as 'module.fc.bias'": saved({**cifar, "module.fc.bias": nan}),
    }  # fmt: skip


@pytest.mark.parametrize("expected", bad_files())
def test_a_bad_checkpoint_is_refused_in_one_line(expected, tmp_path, capsys):
    bad_files()[expected](tmp_path / "w.pth")
    arguments = ["auto", "--onnx", "--weights", str(tmp_path / "w.pth")]
    assert main([*arguments, "--output", str(tmp_path / "b"), "--quiet"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert expected in line
    assert not (tmp_path / "b").exists()


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
        (["resnet20-digits", "--onnx", "--opset", "3"], "3 is not in the range 18<=x<=23"),
        (["resnet20-digits", "--onnx", "--static", "8x8"], "--static: given '8x8'"),
        (["plan", "resnet20-digits", "--static", "1x1x0x8"], "--static: given '1x1x0x8'"),
        (["resnet20-digits", "--onnx", "--static", "1x3x8x8"], "1 channels"),
        (["resnet20-digits", "--onnx", "--mean", "a,b"], "--mean: given 'a,b'"),
        (["resnet20-digits", "--onnx", "--classes", "11"], "11"),
        (["resnet20-digits", "--onnx", "--channels", "3"], "3"),
        (["resnet20-digits", "--onnx", "--weights", "missing.pth"], "missing.pth"),
        (["resnet20-digits", "--onnx", "--labels", "missing.txt"], "missing.txt"),
        (["resnet20-digits", "--onnx", "--crop", "0"], "crop"),
        (["auto", "--onnx"], "auto: given no weights; expected a checkpoint file"),
        (["auto", "--onnx", "--weights", "random"], "auto: given random"),
        (["inspect", "missing.pth"], "missing.pth"),
        (["resnet18", "--onnx", "--init", "xavier"], "given 'xavier'"),
        (["resnet18", "--onnx", "--head", "neck"], "given 'neck'"),
        (["resnet18", "--onnx", "--from-rgb", "sum"], "given no channels"),
        (["resnet20-digits", "--onnx", "--ema"], "have no average"),
        (["resnet20-digits", "--onnx", "--init", "torch"], "--init torch: given weights"),
        (["timm-models:resnet18", "--onnx"], "No module named 'timm-models'"),
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
    from export.load import load
    from export.load_options import LoadOptions

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
@pytest.mark.parametrize("step", ["load", "simplify"])
def test_a_run_that_is_ended_leaves_the_old_bundle_whole(bundle, number, step):
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    child = subprocess.Popen(
        # So much to check that no machine is done with it before it is ended.
        [*COMMAND, *DIGITS[:-1], "inf", "--output", str(bundle)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (line := child.stderr.readline()).startswith(step):
        assert line, f"ended before {step}"
    child.send_signal(number)
    _, errors = child.communicate()
    assert "Traceback" not in errors
    assert child.returncode in (130, -number)
    after = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert after == before
