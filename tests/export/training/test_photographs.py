import numpy as np
import pytest

from export.training.data import LabelledImage
from export.training.photographs import Photographs
from runtime.errors import ImageError


def files(scans):
    return [LabelledImage(path=path, label=0) for path in sorted((scans / "0").iterdir())]


def test_all_images_are_read_once_in_order_and_kept(scans):
    told = []
    photographs = Photographs(files(scans), channels=1)
    read = list(photographs.read_all(lambda: told.append(1)))
    assert len(read) == len(told) == len(photographs) == 40
    assert photographs.in_memory
    assert all(photographs[index] is image for index, image in enumerate(read))


def test_an_image_is_the_same_before_and_after_it_is_kept(scans):
    photographs = Photographs(files(scans), channels=1)
    before = np.asarray(photographs[7])
    list(photographs.read_all(lambda: None))
    assert np.array_equal(photographs[7], before)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_have_the_channels_of_the_model(scans, channels, mode):
    assert Photographs(files(scans), channels)[0].mode == mode


def test_a_file_that_cannot_be_read_is_named_before_the_training(scans, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes((scans / "0" / "0000.png").read_bytes()[:60])
    photographs = Photographs([*files(scans), LabelledImage(path=broken, label=0)], channels=1)
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(photographs.read_all(lambda: None))


@pytest.mark.parametrize(("room", "kept"), [(40 * 64, True), (40 * 64 - 1, False)])
def test_images_are_kept_only_if_there_is_room_for_all(scans, room, kept):
    photographs = Photographs(files(scans), channels=1, room=room)
    read = list(photographs.read_all(lambda: None))
    assert photographs.in_memory is kept
    assert np.array_equal(photographs[39], read[39])
