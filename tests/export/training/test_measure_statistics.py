import numpy as np
import pytest
from PIL import Image

from export.training.measure_statistics import measure_statistics
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

GREY = ImageSpec(resize=8, crop=8, mean=(0.9,), std=(0.1,), channels="L")


def test_mean_and_std_are_those_of_all_pixels(scans):
    paths = sorted((scans / "1").iterdir())
    spec = measure_statistics((open_image(path) for path in paths), GREY)
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths]) / 255
    assert spec.mean == (round(pixels.mean(), 4),)
    assert spec.std == (round(pixels.std(), 4),)


def test_the_measured_images_are_standardised_by_the_spec(scans):
    images = [open_image(path) for path in sorted((scans / "2").iterdir())]
    spec = measure_statistics(images, ImageSpec(resize=12, crop=10, mean=(0,) * 3, std=(1,) * 3))
    values = np.stack([preprocess(image, spec) for image in images])
    assert np.abs(values.mean(axis=(0, 2, 3))).max() < 1e-3
    assert np.abs(values.std(axis=(0, 2, 3)) - 1).max() < 1e-3


def test_every_channel_has_its_own_in_the_order_of_the_model():
    rng = np.random.default_rng(0)
    pixels = (rng.random((8, 8, 3)) * (50, 100, 200)).astype(np.uint8)
    bgr = ImageSpec(
        resize=8, crop=8, mean=(0,) * 3, std=(1,) * 3, channels="BGR", value_range=(0.0, 255.0)
    )
    spec = measure_statistics([Image.fromarray(pixels)], bgr)
    assert spec.mean == pytest.approx(pixels.mean(axis=(0, 1))[::-1], abs=1e-4)


def test_images_without_a_picture_are_refused():
    with pytest.raises(OptionError, match="all of one brightness"):
        measure_statistics([Image.new("L", (8, 8), 128)] * 3, GREY)
