"""Ways to see an image: each is another one, and does what its cure says."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from export.accuracy.gallery import read_planes, statistics
from export.accuracy.plan_changes import Statistics, plan_changes
from export.accuracy.view import View
from runtime.image_spec import ImageSpec
from runtime.preprocess import preprocess

PHOTOGRAPH = ImageSpec(resize=40, crop=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
OWN = Statistics(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1))


@pytest.fixture
def image():
    values = np.random.default_rng(0).integers(0, 256, (50, 70, 3))
    return Image.fromarray(values.astype(np.uint8))


def see(image, view):
    return view.images(view.geometry.planes(image, view.spec))


def changes(spec, **view):
    own = Statistics(mean=OWN.mean[: len(spec.mean)], std=OWN.std[: len(spec.mean)])
    planned = plan_changes(View(spec=spec, **view), own, fixed_size=False)
    return {change.name: change for change in planned}


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_the_bundles_own_view_is_its_preprocessing_to_the_bit(image, channels):
    spec = dataclasses.replace(PHOTOGRAPH, channels=channels)
    np.testing.assert_array_equal(see(image, View(spec=spec)), preprocess(image, spec))


def test_every_change_shows_other_numbers_than_the_base_and_than_each_other(image):
    shown = [see(image, View(spec=PHOTOGRAPH))]
    for change in changes(PHOTOGRAPH).values():
        seen = see(image, change.view)
        assert not any(s.shape == seen.shape and np.allclose(s, seen) for s in shown), change.name
        shown.append(seen)
    assert len(shown) > 15


def test_a_cure_in_units_of_0_to_1_is_what_was_tried(image):
    spec = dataclasses.replace(PHOTOGRAPH, value_range=(0.0, 255.0))
    mended = changes(spec)["values 0..1 before the same mean and std"]
    assert mended.cure.startswith("export again with --mean 0.485,0.456,0.406 --std 0.229,0.224")
    np.testing.assert_array_equal(see(image, mended.view), preprocess(image, PHOTOGRAPH))


def test_normalised_twice_is_normalised_and_that_again(image):
    once = see(image, View(spec=PHOTOGRAPH)).astype(np.float64)
    mean, std = (np.array(x)[:, None, None] for x in (PHOTOGRAPH.mean, PHOTOGRAPH.std))
    twice = see(image, changes(PHOTOGRAPH)["normalised twice"].view)
    np.testing.assert_allclose(twice, (once - mean) / std, rtol=1e-4, atol=1e-4)


def test_the_images_own_mean_follows_the_channel_order():
    spec = dataclasses.replace(PHOTOGRAPH, channels="BGR")
    assert changes(spec)["the images' own mean and std"].view.spec.mean == (0.6, 0.5, 0.4)


def test_grey_images_are_inverted_and_have_no_channel_order(image):
    spec = ImageSpec(resize=40, crop=32, mean=(0.5,), std=(0.5,), channels="L")
    planned = changes(spec)
    assert "channel order BGR" not in planned
    inverted = see(image, planned["black for white"].view)
    np.testing.assert_allclose(inverted, -see(image, View(spec=spec)), atol=1e-6)


def test_a_model_of_one_size_is_shown_no_other():
    planned = plan_changes(View(spec=PHOTOGRAPH), OWN, fixed_size=True)
    assert {change.view.spec.crop for change in planned} == {32}


def test_statistics_are_of_each_channel():
    planes = np.zeros((2, 2, 4, 4), np.uint8)
    planes[:, 1] = 255
    found = statistics(planes)
    assert found.mean == (0.0, 1.0)
    assert min(found.std) > 0  # a constant channel has none to divide by


def test_a_file_that_is_no_image_is_skipped_and_named(tmp_path, image):
    image.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    skipped = []
    paths = [tmp_path / "b.png", tmp_path / "a.png"]
    geometry = View(spec=PHOTOGRAPH).geometry
    batches = list(
        read_planes(paths, [geometry], PHOTOGRAPH, 8, lambda path, _: skipped.append(path))
    )
    assert [kept for kept, _ in batches] == [[1]]
    assert skipped == [tmp_path / "b.png"]
