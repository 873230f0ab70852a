"""A fixed batch is filled with the last image; any other stays as it is."""

import numpy as np
import pytest

from runtime.feed import fill_batch

IMAGES = np.arange(6, dtype=np.float32).reshape(3, 1, 2, 1)


@pytest.mark.parametrize("fixed", [0, 2, 3])
def test_images_that_are_enough_stay_as_they_are(fixed):
    assert fill_batch(IMAGES, fixed) is IMAGES


def test_the_last_image_fills_a_fixed_batch():
    filled = fill_batch(IMAGES, 5)
    assert filled.shape == (5, 1, 2, 1)
    assert filled[:, 0, 0, 0].tolist() == [0, 2, 4, 4, 4]
