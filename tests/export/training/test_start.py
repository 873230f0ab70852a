import pytest
import torch

from export.load_options import LoadOptions
from export.models.catalogue import find
from export.models.sources import WEIGHTS_FOLDER
from export.training.start import Start, start
from runtime.errors import CheckpointError, OptionError

DIGITS = str(WEIGHTS_FOLDER / "resnet20-digits.safetensors")
LABELS = tuple("0123456789")


def from_random(seed: int = 3, channels: int = 1, init: str = "") -> Start:
    options = LoadOptions(weights="random", channels=channels, seed=seed, init=init)
    return start("cifar_resnet20", options, ("a", "b"))


def from_digits(labels: tuple[str, ...], seed: int = 0) -> Start:
    return start("resnet20-digits", LoadOptions(weights=DIGITS, seed=seed), labels)


def test_random_weights_are_drawn_as_torchvision_draws_them():
    begun = from_random()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = find("cifar_resnet20").build(classes=2, channels=1)
        torch.manual_seed(3)
        expected.reset_parameters()
    state = begun.module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in expected.state_dict().items())
    assert not begun.trained


def test_random_weights_are_drawn_by_the_law_that_is_named():
    begun = from_random(init="torch")
    assert not torch.equal(begun.module.conv1.weight, from_random().module.conv1.weight)


def test_equal_seeds_start_alike_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    one, same, other = from_random(3), from_random(3), from_random(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.module.fc.weight, same.module.fc.weight)
    assert not torch.equal(one.module.fc.weight, other.module.fc.weight)


def test_trained_weights_keep_the_head_of_the_same_classes():
    begun = from_digits(LABELS)
    assert begun.trained
    assert "drawn anew" not in begun.origin
    assert begun.image.channels == "L"
    assert torch.equal(begun.module.fc.weight, from_digits(LABELS, seed=1).module.fc.weight)


@pytest.mark.parametrize("labels", [("a", "b"), tuple("9876543210")])
def test_a_head_of_other_classes_is_drawn_anew_and_the_rest_kept(labels):
    begun, kept = from_digits(labels), from_digits(LABELS)
    assert "the head of 10 classes is drawn anew" in begun.origin
    assert begun.module.fc.out_features == len(labels)
    assert torch.equal(begun.module.conv1.weight, kept.module.conv1.weight)
    assert not torch.equal(begun.module.fc.weight[:2], kept.module.fc.weight[:2])
    assert torch.equal(begun.module.fc.weight, from_digits(labels).module.fc.weight)
    assert not torch.equal(begun.module.fc.weight, from_digits(labels, seed=1).module.fc.weight)


def test_a_file_tells_its_model_itself():
    assert start("auto", LoadOptions(weights=DIGITS), LABELS).name == "resnet20-digits"


def test_rgb_weights_start_on_one_channel_behind_an_adapter(tmp_path):
    path = tmp_path / "rgb.pth"
    torch.save(find("resnet18").build(classes=4, channels=3).state_dict(), path)
    options = LoadOptions(weights=str(path), channels=1, from_rgb="adapter")
    begun = start("resnet18", options, ("a", "b"))
    assert begun.image.channels == "L"
    assert begun.module.adapter.weight.shape == (3, 1, 1, 1)
    assert "adapter" in begun.origin
    assert begun.module(torch.zeros(2, 1, 32, 32)).shape == (2, 2)


def test_channels_that_no_image_file_has_are_refused():
    with pytest.raises(OptionError, match="channels: given 4; expected 1 or 3"):
        from_random(channels=4)


def test_weights_that_are_not_there_are_told(tmp_path):
    options = LoadOptions(weights=str(tmp_path / "none.pth"))
    with pytest.raises(CheckpointError, match="cannot read weights from"):
        start("cifar_resnet20", options, ("a", "b"))
