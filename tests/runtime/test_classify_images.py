import itertools
import threading
import time

import numpy as np
import pytest

from runtime.classify import classify
from runtime.classify_images import Request, classify_images
from runtime.errors import ImageError, OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image
from runtime.open_runner import open_runner


def results_of(bundle, paths, **request):
    with classify_images(bundle, [str(path) for path in paths], Request(**request)) as run:
        return list(run.results)


def expected_of(bundle, path, top=5):
    logits = open_runner(bundle).logits(load_image(path, bundle.manifest.image)[np.newaxis])
    return classify(logits, bundle.manifest.labels, top)[0]


def labels_of(results):
    return [[ranked.label for ranked in result.classes] for result in results]


def test_each_image_gets_what_the_model_says_of_it_alone(tiny_bundle, photographs):
    results = results_of(tiny_bundle, photographs)
    assert [result.image for result in results] == photographs
    for result in results:
        expected = expected_of(tiny_bundle, result.image)
        assert [ranked.index for ranked in result.classes] == [ranked.index for ranked in expected]
        assert result.classes[0].probability == pytest.approx(expected[0].probability, rel=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_batch_size_changes_neither_order_nor_answers(tiny_bundle, photographs, batch):
    paths = photographs * 3 + photographs[:1]
    results = results_of(tiny_bundle, paths, batch=batch)
    assert [result.image for result in results] == paths
    assert labels_of(results) == labels_of(results_of(tiny_bundle, paths, batch=1))


def test_image_that_cannot_be_read_stops_no_other(tiny_bundle, photographs, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photographs[0].read_bytes()[:1000])
    paths = [broken, photographs[0], tmp_path / "missing.png", photographs[1]]
    results = results_of(tiny_bundle, paths, batch=2)
    assert [bool(result.error) for result in results] == [True, False, True, False]
    assert results[0].error.startswith(f"{broken}: ")
    assert "no such file" in results[2].error
    assert [result.classes for result in results[::2]] == [(), ()]


def test_batch_without_a_readable_image_is_passed_over(tiny_bundle, photographs, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png", photographs[0]]
    results = results_of(tiny_bundle, paths, batch=2)
    assert [bool(result.error) for result in results] == [True, True, False]


def test_model_of_fixed_batch_takes_any_number_of_images(publish_tiny, photographs, tmp_path):
    fixed = publish_tiny(tmp_path / "fixed", shape=("4", "3", "16", "16"))
    free = publish_tiny(tmp_path / "free")
    for count in (1, 4, 5):
        paths = list(itertools.islice(itertools.cycle(photographs), count))
        assert labels_of(results_of(fixed, paths)) == labels_of(results_of(free, paths))


def test_model_of_another_size_than_its_preprocessing_is_refused(
    publish_tiny, photographs, tmp_path
):
    bundle = publish_tiny(tmp_path / "tiny", shape=("1", "3", "16", "16"))
    image = ImageSpec(resize=32, crop=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    other = publish_tiny(tmp_path / "other", shape=("1", "3", "16", "16"), image=image)
    assert results_of(bundle, photographs)
    with pytest.raises(
        OptionError, match="takes images of 3x16x16, its preprocessing makes 3x32x32"
    ):
        results_of(other, photographs)


def test_model_of_planes_is_refused_once_not_for_every_image(publish_tiny, photographs, tmp_path):
    image = ImageSpec(resize=16, crop=16, mean=(0.0,) * 3, std=(1.0,) * 3, channels="planes")
    bundle = publish_tiny(tmp_path / "tiny", image=image)
    with pytest.raises(OptionError, match="3 planes, which no image file holds"):
        results_of(bundle, photographs)


def test_classes_without_labels_are_numbers(publish_tiny, photographs, tmp_path):
    (result, *_) = results_of(publish_tiny(tmp_path / "tiny", labels=()), photographs, top=3)
    assert [ranked.label for ranked in result.classes] == [str(r.index) for r in result.classes]


@pytest.mark.parametrize("request_", [{"top": 0}, {"batch": 0}, {"top": -1}])
def test_number_below_one_is_refused(request_):
    with pytest.raises(OptionError, match="expected at least 1 each"):
        Request(**request_)


def test_no_image_at_all_is_refused(tiny_bundle, tmp_path):
    with pytest.raises(OptionError, match="no images in"):
        results_of(tiny_bundle, [tmp_path])


def test_no_thread_outlives_the_work(tiny_bundle, photographs, tmp_path):
    before = threading.active_count()
    results_of(tiny_bundle, photographs)
    with classify_images(tiny_bundle, [str(p) for p in photographs * 5], Request(batch=1)) as run:
        next(run.results)  # and no more
    with pytest.raises(OptionError):
        results_of(tiny_bundle, [tmp_path])
    with pytest.raises(ImageError):
        raise ImageError(results_of(tiny_bundle, [tmp_path / "missing.png"])[0].error)
    end = time.monotonic() + 60
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_only_the_next_batches_are_read_ahead(tiny_bundle, photographs, tmp_path):
    paths = []
    for index in range(40):
        path = tmp_path / f"{index}.jpg"
        path.write_bytes(photographs[0].read_bytes())
        paths.append(path)
    with classify_images(tiny_bundle, [str(path) for path in paths], Request(batch=2)) as run:
        next(run.results)
        for path in paths[10:]:  # far ahead of the third batch: not read yet
            path.unlink()
        rest = list(run.results)
    assert [bool(result.error) for result in rest] == [False] * 9 + [True] * 30


def test_a_model_of_pixels_says_what_the_model_of_normalised_images_says(
    pixel_bundle, tiny_bundle, photographs
):
    expected, results = (results_of(b, photographs) for b in (tiny_bundle, pixel_bundle))
    assert labels_of(results) == labels_of(expected)
    for result, other in zip(results, expected, strict=True):
        for ranked, right in zip(result.classes, other.classes, strict=True):
            assert ranked.probability == pytest.approx(right.probability, rel=1e-4)


def test_a_model_of_pixels_of_another_size_than_its_preprocessing_is_refused(
    publish_tiny, photographs, tmp_path
):
    bundle = publish_tiny(tmp_path / "wide", shape=("2", "3", "16", "32"), pixels="NHWC")
    with pytest.raises(OptionError, match="takes images of 16x32x3, its preprocessing makes 16x16"):
        results_of(bundle, photographs)
