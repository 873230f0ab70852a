import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from scripts.finetune_classifier import main

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "finetune_classifier.py"


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    digits = load_digits()
    root = tmp_path_factory.mktemp("scans")
    for label in (0, 1):
        (root / str(label)).mkdir()
        for index in np.flatnonzero(digits.target == label)[:60]:
            pixels = np.rint(digits.images[index] * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(root / str(label) / f"{index:04}.png")
    return root


def command(data: Path, output: Path, *options: str) -> list[str]:
    fixed = "--recipe scratch --channels 1 --resize 12 --crop 12 --batch 12 --epochs 4 --lr 0.02"
    return [
        *(sys.executable, "-W", "error", str(SCRIPT), "--model", "cifar_resnet20"),
        *("--data", str(data), "--output", str(output), *fixed.split()),
        *("--augment", "inspection", "--threads", "1", *options),
    ]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "state.pt", weights_only=True)["module"]


def test_a_killed_training_goes_on_and_ends_in_the_same_bits(scans, dies_at_third, tmp_path):
    whole = run(*command(scans, tmp_path / "whole", "--test", "--json"))
    assert whole.returncode == 0, whole.stderr
    document = json.loads(whole.stdout)
    assert document["test"]["accuracy"] > 80
    assert len(document["history"]) == 4

    options = command(scans, tmp_path / "killed", "--test", "--json")
    # The third time is the end of the second epoch: its beginning is saved, too.
    code = dies_at_third("state.pt", "runpy.run_path(sys.argv[0], run_name='__main__')")
    killed = run(sys.executable, "-c", code, *options[3:])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "epoch 2/4" in killed.stderr
    resumed = run(*options)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after step" in resumed.stderr
    assert "epoch 1/4" not in resumed.stderr

    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert json.loads(resumed.stdout)["history"] == document["history"]
    best = [tmp_path / name / "best.safetensors" for name in ("whole", "killed")]
    assert best[0].read_bytes() == best[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "resnet5O"], "no model 'resnet5O'; did you mean"),
        (["--data", "nowhere"], "there is no 'nowhere'; expected a folder"),
        (["--recipe", "magic"], "recipe: given 'magic'; expected one of"),
        (["--recipe", "freeze", "--weights", "none.pth"], "cannot read weights from 'none.pth'"),
        (["--recipe", "freeze"], "torchvision publishes no 'imagenet' weights"),
        (["--channels", "7"], "channels: given 7; expected 1 or 3"),
        (["--crop", "20"], "crop 20 is larger than resize 12"),
        (["--lr", "nan"], "learning rate: given nan"),
        (["--batch", "many"], "Invalid value for '--batch'"),
        (["--batch", "500"], "batch: given 500; expected at most 84"),
        (
            ["--val-share", "0.9", "--test-share", "0.9"],
            "split: given 0.9 for val and 0.9 for test",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(scans, tmp_path, capsys, options, message):
    # Of an option that is given twice, the last one counts.
    assert main([*command(scans, tmp_path / "output")[4:], *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert lines[-1] == errors[0]
    assert message in errors[0]
    assert not (tmp_path / "output").exists()


def test_weights_that_are_not_there_are_told_before_torch_is_imported(scans, tmp_path):
    words = command(scans, tmp_path / "output", "--recipe", "freeze", "--weights", "none.pth")
    found = run(sys.executable, "-X", "importtime", *words[1:])
    assert found.returncode == 2
    lines = found.stderr.splitlines()
    assert lines[-1].startswith("error: cannot read weights from 'none.pth'")
    assert not [line for line in lines if line.endswith("| torch")]


def test_an_image_that_cannot_be_read_is_named_before_the_training(scans, tmp_path, capsys):
    for label in ("0", "1"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for image in sorted((scans / label).iterdir())[:20]:
            (tmp_path / "data" / label / image.name).write_bytes(image.read_bytes())
    for image in (tmp_path / "data" / "1").iterdir():
        image.write_bytes(b"not an image")
    assert main(command(tmp_path / "data", tmp_path / "output")[4:]) == 2
    assert ".png: " in capsys.readouterr().err.splitlines()[-1]


def test_a_training_that_diverges_says_what_to_do(scans, tmp_path, capsys):
    options = ["--lr", "10", "--label-smoothing", "0", "--epochs", "60", "--schedule", "steps"]
    assert main([*command(scans, tmp_path / "output")[4:], *options, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "the training diverged; give a lower --lr than 10" in error
    assert error.count("\n") == 1
