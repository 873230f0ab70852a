"""Classifiers, graphs and images that several tests look at; none of them changes one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.measure import measure
from export.fold import fold
from export.load import load
from export.load_options import LoadOptions
from export.recipes import float32
from export.samples import sample_images
from export.trace import trace, trace_symbolically
from runtime.open_image import load_image
from runtime.terminal import Screen


@pytest.fixture(scope="session")
def digits():
    """The trained one-channel ResNet-20 for 8x8 digits."""
    return load("resnet20-digits", LoadOptions())


@pytest.fixture(scope="session")
def resnet18():
    """ResNet-18 with seeded random weights."""
    return load("resnet18", LoadOptions())


@pytest.fixture(scope="session")
def digits_graph(digits):
    """The folded digits classifier as it was traced."""
    return trace(fold(digits))


@pytest.fixture(scope="session")
def simplified(digits):
    """The digits classifier as a simplified float32 graph."""
    return float32(fold(digits), 18, Screen(quiet=True)).graph


@pytest.fixture(scope="session")
def images(digits):
    """The ten scans of the package as the classifier takes them: float32 [10, 1, 8, 8]."""
    return np.stack([load_image(path, digits.image) for path in sample_images("digits")])


@pytest.fixture(scope="session")
def measurement(simplified, images):
    """What calibration measures on those images."""
    return measure(simplified, [images])


@pytest.fixture(scope="session")
def resnet18_graph(resnet18):
    """Folded ResNet-18 as it was traced."""
    return trace(fold(resnet18))


@pytest.fixture(scope="session")
def wordy_graph(digits):
    """The folded digits classifier traced with symbols: 11 nodes more than it needs."""
    return trace_symbolically(fold(digits))


@pytest.fixture(scope="session")
def write_scans():
    """Writes some of the UCI digits, a folder a class."""
    from sklearn.datasets import load_digits

    data = load_digits()

    def write(folder: Path, numbers, change=lambda scan: scan) -> Path:
        for number in numbers:
            scan = np.rint(change(data.images[number]) * 255 / 16).astype(np.uint8)
            (folder / str(data.target[number])).mkdir(parents=True, exist_ok=True)
            Image.fromarray(scan).save(folder / str(data.target[number]) / f"{number:04}.png")
        return folder

    return write
