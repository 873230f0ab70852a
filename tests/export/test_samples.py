import pytest
from PIL import Image

from export.samples import SAMPLE_KINDS, sample_images
from runtime.errors import OptionError


def test_photographs_are_two_colour_images() -> None:
    paths = sample_images("photographs")
    assert [path.name for path in paths] == ["china.jpg", "flower.jpg"]
    for path in paths:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (640, 427))


@pytest.mark.parametrize("kind", SAMPLE_KINDS)
def test_only_images_are_given(kind: str) -> None:
    for path in sample_images(kind):
        with Image.open(path) as image:
            image.verify()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(OptionError, match=r"given '\.\.'; expected digits or photographs"):
        sample_images("..")
