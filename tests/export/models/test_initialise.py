import numpy as np
import pytest
import torch
from PIL import Image

from export.load_options import LAWS, LoadOptions
from export.models.catalogue import find
from export.models.initialise import initialise
from export.models.resnet import ResNet
from export.samples import sample_images
from runtime.errors import OptionError


def random_model(name: str, seed: int = 0, law: str = "scattered") -> ResNet:
    card = find(name)
    with torch.device("meta"):
        model = card.build(classes=card.classes, channels=3).eval()
    model.to_empty(device="cpu")
    initialise(model, seed, law)
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


@pytest.mark.parametrize("law", LAWS)
def test_equal_seeds_give_equal_bits_and_others_do_not(law: str) -> None:
    first, same, other = (
        random_model("cifar_resnet20", seed, law).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    drawn = [name for name, value in first.items() if value.ndim == 4]
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


def spread(law: str, name: str = "small_resnet18") -> float:
    return random_model(name, 0, law).get_parameter("layer4.1.conv2.weight").std().item()


def test_each_law_has_its_own_standard_deviation() -> None:
    inputs = outputs = 3 * 3 * 512
    assert spread("kaiming") == pytest.approx((2 / outputs) ** 0.5, rel=0.01)
    assert spread("normal") == pytest.approx((2 / outputs) ** 0.5, rel=0.01)
    # Kaiming uniform: bound = sqrt(6 / ((1 + a^2) inputs)), standard deviation = bound / sqrt(3).
    assert spread("torch") == pytest.approx((2 / (6 * inputs)) ** 0.5, rel=0.01)
    assert spread("torch-sqrt3") == pytest.approx((2 / (4 * inputs)) ** 0.5, rel=0.01)


def test_the_torch_law_is_how_torch_starts_a_layer() -> None:
    first = random_model("cifar_resnet20", 5, "torch").conv1.weight
    torch.manual_seed(5)
    assert torch.equal(first, torch.nn.Conv2d(3, 16, 3, bias=False).weight)


@pytest.mark.parametrize(
    ("law", "weight", "bias"), [("kaiming", 1, 0), ("torch-sqrt3", 0.975, 0.125)]
)
def test_norms_start_alike_where_nothing_is_scattered(law: str, weight: float, bias: float) -> None:
    norm = random_model("cifar_resnet20", 0, law).layer2[0].bn1
    assert norm.weight.unique().tolist() == pytest.approx([weight])
    assert norm.bias.unique().tolist() == pytest.approx([bias])
    assert (norm.running_mean.any().item(), norm.running_var.unique().tolist()) == (False, [1])


def test_an_unknown_law_is_refused_with_all_names() -> None:
    with pytest.raises(OptionError, match="given 'xavier'; expected one of scattered, kaiming"):
        LoadOptions(init="xavier")
