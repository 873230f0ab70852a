import numpy as np
import pytest
import torch

from export.training.augment import augmentation
from export.training.batches import TrainingBatches, batches_per_epoch, plain_batches
from export.training.find_data import find_data
from export.training.photographs import Photographs
from export.training.split import Shares
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image

SPEC = ImageSpec(resize=10, crop=8, mean=(0.3,), std=(0.3,), channels="L")


@pytest.fixture(scope="module")
def photographs(scans):
    return Photographs(find_data(scans, Shares(), seed=0).train, channels=1)


def batches(photographs, seed=0, workers=0, augment="inspection"):
    return TrainingBatches(
        photographs=photographs,
        transform=augmentation(augment, SPEC),
        image=SPEC,
        batch=32,
        epochs=3,
        seed=seed,
        workers=workers,
    )


def equal(ones, others):
    pairs = list(zip(ones, others, strict=True))
    return all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def test_the_batches_since_a_step_are_those_that_would_have_followed(photographs):
    whole = list(batches(photographs).since(0))
    assert len(whole) == batches(photographs).steps == 6
    for step in range(7):
        assert equal(batches(photographs).since(step), whole[step:])


def test_processes_that_read_images_make_the_same_batches(photographs):
    assert equal(batches(photographs, workers=1).since(3), batches(photographs).since(3))


def test_another_seed_gives_other_batches(photographs):
    assert not equal(batches(photographs).since(4), batches(photographs, seed=1).since(4))


def test_an_epoch_repeats_no_image_and_the_next_has_another_order(photographs):
    plain = [images for images, _ in batches(photographs, augment="none").since(0)]
    first, second = torch.cat(plain[:2]), torch.cat(plain[2:4])
    assert len(torch.unique(first, dim=0)) == 64
    assert not torch.equal(first, second)


def test_images_keep_their_labels(photographs):
    known = {load_image(file.path, SPEC).tobytes(): file.label for file in photographs.files}
    for images, labels in batches(photographs, augment="none").since(0):
        assert [known[image.numpy().tobytes()] for image in images] == labels.tolist()


def test_plain_batches_hold_every_image_as_the_runtime_reads_it(photographs):
    found = list(plain_batches(photographs, SPEC, workers=0))
    expected = np.stack([load_image(file.path, SPEC) for file in photographs.files])
    assert [len(images) for images, _ in found] == [64, 20]
    assert np.array_equal(torch.cat([images for images, _ in found]).numpy(), expected)
    assert torch.cat([labels for _, labels in found]).tolist() == [
        file.label for file in photographs.files
    ]


def test_images_that_fill_no_batch_are_left_out_and_too_few_are_refused():
    assert batches_per_epoch(84, 32) == 2
    with pytest.raises(OptionError, match="given 85; expected at most 84"):
        batches_per_epoch(84, 85)
