import numpy as np
import pytest
import torch
from PIL import Image

from export.training.augment import AUGMENTATIONS, augmentation, draw
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

SPEC = ImageSpec(resize=28, crop=24, mean=(0.3,), std=(0.3,), channels="L")


@pytest.fixture(scope="module")
def scan(scans):
    return open_image(sorted((scans / "2").iterdir())[0])


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_augmented_image_has_the_size_of_the_model_and_its_own_mode(scan, name, mode):
    image = draw(augmentation(name, SPEC), scan.convert(mode), seed=0, epoch=0, index=0)
    assert (image.size, image.mode) == ((24, 24), mode)


@pytest.mark.parametrize("name", ["photograph", "inspection"])
def test_chance_depends_on_seed_epoch_and_index_and_on_nothing_else(scan, name):
    transform = augmentation(name, SPEC)
    first = np.asarray(draw(transform, scan, seed=1, epoch=2, index=3))
    torch.rand(7)
    assert np.array_equal(draw(transform, scan, seed=1, epoch=2, index=3), first)
    for place in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(draw(transform, scan, *place), first)


def test_the_global_generator_is_left_as_it_was(scan):
    before = torch.get_rng_state()
    draw(augmentation("inspection", SPEC), scan, seed=0, epoch=0, index=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_augmentation_an_image_is_what_the_runtime_sees(scan):
    image = draw(augmentation("none", SPEC), scan, seed=0, epoch=0, index=0)
    bare = ImageSpec(resize=24, crop=24, mean=(0.3,), std=(0.3,), channels="L")
    assert np.array_equal(preprocess(image, bare), preprocess(scan, SPEC))


def brighter_half(name: str, index: int) -> str:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:14] = 255
    image = draw(augmentation(name, SPEC), Image.fromarray(pixels), seed=0, epoch=0, index=index)
    found = np.asarray(image).astype(float)
    return "upper" if found[:12].mean() > found[12:].mean() else "lower"


def test_inspection_turns_images_upside_down_and_photograph_never_does():
    assert {brighter_half("inspection", index) for index in range(10)} == {"upper", "lower"}
    assert brighter_half("none", 0) == "upper"
    # A random crop may see one half only; then both halves are alike.
    pixels = np.linspace(255, 0, 28 * 28).reshape(28, 28).astype(np.uint8)
    transform = augmentation("photograph", SPEC)
    for index in range(10):
        image = draw(transform, Image.fromarray(pixels), seed=0, epoch=0, index=index)
        found = np.asarray(image).astype(float)
        assert found[:4].mean() >= found[-4:].mean()


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(OptionError, match="given 'mixup'; expected one of none, photograph"):
        augmentation("mixup", SPEC)
