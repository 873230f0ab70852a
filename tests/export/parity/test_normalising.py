"""The reference of a graph of pixels: normalisation to the last bit of float64."""

import numpy as np
import pytest
import torch

from export.parity.normalising import normalising
from export.reference import TorchRunner
from export.samples import sample_images
from runtime.open_image import load_image


@pytest.fixture(scope="module")
def scans(digits):
    """The ten digits as pixels, [10, 1, 8, 8]."""
    return np.stack([load_image(p, digits.image, "NCHW") for p in sample_images("digits")])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_reference_says_of_pixels_what_the_module_says_of_exact_images(digits, scans, layout):
    mean, std = digits.image.mean[0], digits.image.std[0]
    exact = TorchRunner(digits.module, torch.float64).logits((scans / 255 - mean) / std)
    given = scans if layout == "NCHW" else np.ascontiguousarray(scans.transpose(0, 2, 3, 1))
    reference = TorchRunner(normalising(digits, layout).module, torch.float64)
    np.testing.assert_allclose(reference.logits(given), exact, atol=1e-13)


def test_the_baseline_shows_what_float32_makes_of_pixels(digits, scans):
    module = normalising(digits, "NCHW").module
    exact, rounded = (TorchRunner(module, t).logits(scans) for t in (torch.float64, torch.float32))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 1e-5


def test_the_classifier_that_is_given_stays_as_it_is(digits):
    made = normalising(digits, "NHWC")
    assert made.module is not digits.module
    assert not made.module.training
    assert next(made.module.parameters()) is next(digits.module.parameters())
