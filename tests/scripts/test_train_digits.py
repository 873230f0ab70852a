import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from export.checkpoint import Checkpoint, read_checkpoint
from export.load import load
from export.models.catalogue import find
from export.models.sources import WEIGHTS_FOLDER
from export.samples import sample_images
from runtime.preprocess import preprocess

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_digits.py"
DIGITS = load_digits()
SCANS = np.rint(DIGITS.images * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return read_checkpoint(WEIGHTS_FOLDER / "resnet20-digits.safetensors")


@pytest.fixture(scope="module")
def held_out(checkpoint) -> np.ndarray:
    return np.array(checkpoint.metadata.notes["held_out"].split(), dtype=int)


def test_the_bundled_model_is_as_good_as_it_says_on_the_held_out_third(checkpoint, held_out):
    classifier = load("resnet20-digits")
    images = [preprocess(Image.fromarray(SCANS[i]), classifier.image) for i in held_out]
    with torch.inference_mode():
        answers = classifier.module(torch.from_numpy(np.stack(images))).argmax(dim=1).numpy()
    top1 = round(100 * (answers == DIGITS.target[held_out]).mean(), 2)
    assert top1 == checkpoint.metadata.top1 == find("resnet20-digits").top1
    assert top1 >= 98.5


def test_the_recorded_third_is_a_third_and_the_one_that_is_described(checkpoint, held_out):
    assert len(set(held_out)) == len(held_out) == len(SCANS) // 3
    assert "default_rng(0).permutation(1797): the first 599" in checkpoint.metadata.notes["split"]
    assert np.array_equal(held_out, np.random.default_rng(0).permutation(1797)[:599])


def test_mean_and_std_are_those_of_the_scans_it_was_trained_on(checkpoint, held_out):
    training = np.delete(SCANS, held_out, axis=0) / 255
    image = checkpoint.metadata.image
    assert image == find("resnet20-digits").image
    assert image.mean == (round(training.mean(), 4),)
    assert image.std == (round(training.std(), 4),)


def test_the_bundled_model_is_small():
    assert (WEIGHTS_FOLDER / "resnet20-digits.safetensors").stat().st_size < 1.2e6


def test_the_sample_digits_are_the_first_held_out_scan_of_each_class(held_out):
    paths = sample_images("digits")
    assert [path.name for path in paths] == [f"digit-{label}.png" for label in range(10)]
    for label, path in enumerate(paths):
        first = next(i for i in held_out if DIGITS.target[i] == label)
        with Image.open(path) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), SCANS[first])


def train(folder: Path) -> bytes:
    outputs = ["--weights", folder / "digits.safetensors", "--samples", folder / "samples"]
    command = [sys.executable, "-W", "error", SCRIPT, "--epochs", "1", "--seed", "5"]
    run = subprocess.run([*command, *outputs], capture_output=True, text=True, check=True)
    assert "% of 599 held-out scans" in run.stdout
    assert run.stderr == ""
    assert len(list((folder / "samples").iterdir())) == 10
    return (folder / "digits.safetensors").read_bytes()


def test_equal_seeds_make_equal_files(tmp_path):
    assert train(tmp_path / "first") == train(tmp_path / "again")
