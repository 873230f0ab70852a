import os
import shutil

import numpy as np
import pytest
from PIL import Image

from calibration.images import choose_images, read_batches
from calibration.survey import refuse_unfit, survey
from export.samples import sample_images
from runtime.errors import ImageError, OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image

SPEC = ImageSpec(resize=16, crop=16, mean=(0.3,), std=(0.4,), channels="L")


def survey_of(folder, count=100):
    files, _ = choose_images(folder, count)
    return survey([r for batch in read_batches(files, SPEC, 8) for r in batch.records])


def save(folder, name, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / name)


def test_the_choice_is_spread_evenly_over_the_folder(cells):
    files, available = choose_images(cells, 4)
    assert available == 2624
    assert [file.path.name for file in files] == [
        f"cell{number:04}.png" for number in (1, 657, 1313, 1969)
    ]


def test_fewer_images_than_asked_for_are_all_taken(digits):
    files, available = choose_images(digits, 1000)
    assert len(files) == available == 60


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"there is no folder '.*nowhere'"):
        choose_images(tmp_path / "nowhere", 10)
    with pytest.raises(OptionError, match="no images in"):
        choose_images(tmp_path, 10)


def test_batches_hold_what_the_runtime_feeds_the_model(cells):
    files, _ = choose_images(cells, 5)
    batches = list(read_batches(files, SPEC, 2))
    assert [len(batch.images) for batch in batches] == [2, 2, 1]
    for file, image in zip(files, np.concatenate([b.images for b in batches]), strict=True):
        assert np.array_equal(image, load_image(file.path, SPEC))


def test_a_broken_image_among_good_ones_is_skipped_by_name(digits, tmp_path):
    folder = shutil.copytree(digits, tmp_path / "digits")
    broken = folder / "07.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = survey_of(folder)
    assert found.read == 59
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith(f"{broken}: cannot be read")


def test_a_pipe_by_the_name_of_an_image_is_skipped_not_waited_for(digits, tmp_path):
    folder = shutil.copytree(digits, tmp_path / "digits")
    os.mkfifo(folder / "pipe.png")
    found = survey_of(folder)
    assert found.read == 60
    assert found.skipped == (f"{folder / 'pipe.png'}: is not a file; expected an image",)


def test_batch_of_broken_images_is_empty(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    files, _ = choose_images(tmp_path, 10)
    (batch,) = read_batches(files, SPEC, 8)
    assert batch.images.shape == (0, 1, 16, 16)
    with pytest.raises(ImageError, match=r"none of 1 calibration images could be read; the first"):
        refuse_unfit(survey(batch.records))


def test_survey_counts_duplicates_sizes_colours_and_saturation(digits, tmp_path):
    folder = shutil.copytree(digits, tmp_path / "digits")
    shutil.copy(folder / "00.png", folder / "60.png")
    save(folder, "61.png", np.full((20, 30), 255))
    save(folder, "62.png", np.full((20, 30, 3), (10, 20, 30)))
    found = survey_of(folder)
    assert found.read == 63
    assert found.duplicates == (str(folder / "60.png"),)
    assert found.constant == (str(folder / "61.png"), str(folder / "62.png"))
    assert found.sizes == {"8x8 L": 61, "30x20 L": 1, "30x20 RGB": 1}
    expected = [(np.isin(np.asarray(Image.open(p)), (0, 255))).mean() for p in folder.iterdir()]
    assert found.saturated == pytest.approx(np.mean(expected))


@pytest.fixture
def photographs():
    """The folder of the two photographs that come with the project."""
    return sample_images("photographs")[0].parent


@pytest.mark.parametrize("source", ["digits", "cells", "photographs"])
def test_real_images_are_told_from_noise_by_a_wide_margin(source, request):
    assert survey_of(request.getfixturevalue(source), 40).correlation > 0.4


@pytest.mark.parametrize("side", [8, 32, 224])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_random_noise_is_refused(side, suffix, tmp_path):
    rng = np.random.default_rng(side)
    for index in range(12):
        save(tmp_path, f"{index}.{suffix}", rng.integers(0, 256, (side, side, 3)))
    found = survey_of(tmp_path)
    with pytest.raises(ImageError, match=r"these are random noise"):
        refuse_unfit(found)


def test_black_images_are_refused(tmp_path):
    for index in range(12):
        save(tmp_path, f"{index}.png", np.zeros((8 + index, 8)))
    found = survey_of(tmp_path)
    with pytest.raises(ImageError, match=r"12 of 12 are of a single colour, such as '.*0\.png'"):
        refuse_unfit(found)


def test_few_different_images_are_refused_however_often_they_are_repeated(digits, tmp_path):
    for index in range(30):
        shutil.copy(digits / f"{index % 2:02d}.png", tmp_path / f"{index}.png")
    found = survey_of(tmp_path)
    with pytest.raises(
        ImageError, match=r"of 30 that could be read no more than 2 differ; .* at least 10"
    ):
        refuse_unfit(found)
