"""A bundle of every precision and labelled scans to judge it by, made once."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from export.cli import main


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """160 scans to calibrate on and 120 others to judge by, in a folder for each class."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images[:280], digits.target, strict=False)):
        home = folder / ("train" if index < 160 else "test") / str(label)
        home.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(image * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(home / f"{index:04}.png")
    return folder


@pytest.fixture(scope="session")
def bundle(scans, tmp_path_factory):
    """The digits classifier in float32, float16 and int8."""
    folder = tmp_path_factory.mktemp("artifacts") / "digits"
    words = ["resnet20-digits", "--onnx", "--precision", "fp32", "fp16", "int8"]
    words += ["--calibration-data", str(scans / "train"), "--calibration-images", "64"]
    words += ["--parity-budget", "0", "--output", str(folder), "--quiet"]
    assert main(words) == 0
    return folder
