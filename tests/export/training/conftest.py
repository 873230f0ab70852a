"""Folders of real scans, eight pixels wide, that a small model learns in seconds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from export.training.order import Order
from export.training.recipes import Pace

DIGITS = load_digits()


@pytest.fixture(scope="session")
def scans(tmp_path_factory) -> Path:
    """A folder with one folder per class: the first 40 scans of 0, 1 and 2."""
    root = tmp_path_factory.mktemp("scans")
    for digit in range(3):
        (root / str(digit)).mkdir()
        for index in np.flatnonzero(DIGITS.target == digit)[:40]:
            pixels = np.rint(DIGITS.images[index] * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(root / str(digit) / f"{index:04}.png")
    return root


@pytest.fixture(scope="session")
def order(scans) -> Order:
    """Three epochs of two steps, from scratch; the output is for a test to choose."""
    return Order(
        model="cifar_resnet20",
        data=scans,
        recipe="scratch",
        output=Path("chosen by the test"),
        pace=Pace(batch=40, rate=0.1),
        epochs=3,
        channels=1,
        resize=10,
        crop=8,
        schedule="onecycle",
        augment="inspection",
        precision="float32",
        threads=1,
    )
