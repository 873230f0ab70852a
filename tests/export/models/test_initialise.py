import numpy as np
import pytest
import torch
from PIL import Image

from export.models.catalogue import find
from export.models.initialise import initialise
from export.models.resnet import ResNet
from export.samples import sample_images


def random_model(name: str, seed: int = 0) -> ResNet:
    card = find(name)
    with torch.device("meta"):
        model = card.build(classes=card.classes, channels=3).eval()
    model.to_empty(device="cpu")
    initialise(model, seed)
    return model


EXTREMES = ("resnet18", "resnet152", "resnext101_64x4d", "cifar_resnet20", "cifar_resnet110")


@pytest.mark.parametrize("name", EXTREMES)
def test_logits_are_of_order_one_and_tell_photographs_apart(name: str) -> None:
    side = min(64, find(name).image.crop)
    images = [Image.open(path).resize((side, side)) for path in sample_images("photographs")]
    batch = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    with torch.inference_mode():
        logits = random_model(name)(batch.permute(0, 3, 1, 2) / 127.5 - 1)
    assert logits.std(dim=1).min() > 0.1
    assert logits.std(dim=1).max() < 30
    assert (logits[0] - logits[1]).std() > 0.1 * logits.std()


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    first, same, other = (random_model("resnet18", seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    drawn = [name for name in first if not name.endswith("num_batches_tracked")]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_the_global_generator_is_left_as_it_was() -> None:
    state = torch.get_rng_state()
    random_model("cifar_resnet20")
    assert torch.equal(torch.get_rng_state(), state)


def test_every_batchnorm_does_something() -> None:
    model = random_model("resnet50")
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean.abs().min() > 0, name
            assert layer.running_var.min() > 0, name
            assert layer.weight.min() > 0, name
            assert layer.bias.abs().min() > 0, name
