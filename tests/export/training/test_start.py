from pathlib import Path

import pytest
import torch

from export.models.catalogue import find
from export.models.sources import WEIGHTS_FOLDER
from export.training.start import start
from runtime.errors import CheckpointError, OptionError

DIGITS = str(WEIGHTS_FOLDER / "resnet20-digits.safetensors")
LABELS = tuple("0123456789")


def test_random_weights_are_those_that_torchvision_starts_from():
    begun = start("cifar_resnet20", "random", ("a", "b"), 1, seed=3)
    torch.manual_seed(3)
    expected = find("cifar_resnet20").build(classes=2, channels=1).state_dict()
    state = begun.module.state_dict()
    assert state["bn1.weight"].eq(1).all()
    assert state["bn1.running_var"].eq(1).all()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in expected.items()
    }
    std = float(expected["layer3.2.conv2.weight"].std())
    assert float(state["layer3.2.conv2.weight"].std()) == pytest.approx(std, rel=0.05)
    assert not begun.trained


def test_equal_seeds_start_alike_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    one, same, other = (start("cifar_resnet20", "random", ("a", "b"), 1, s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.module.fc.weight, same.module.fc.weight)
    assert not torch.equal(one.module.fc.weight, other.module.fc.weight)


def test_trained_weights_keep_the_head_of_the_same_classes():
    begun = start("resnet20-digits", DIGITS, LABELS, None, seed=0)
    assert begun.trained
    assert "drawn anew" not in begun.origin
    assert begun.image.channels == "L"
    weights = torch.cat([value.flatten() for value in begun.module.fc.parameters()])
    again = start("resnet20-digits", DIGITS, LABELS, None, seed=1)
    assert torch.equal(
        weights, torch.cat([value.flatten() for value in again.module.fc.parameters()])
    )


@pytest.mark.parametrize("labels", [("a", "b"), tuple("9876543210")])
def test_a_head_of_other_classes_is_drawn_anew_and_the_rest_kept(labels):
    begun = start("resnet20-digits", DIGITS, labels, None, seed=0)
    kept = start("resnet20-digits", DIGITS, LABELS, None, seed=0)
    assert "the head of 10 classes drawn anew" in begun.origin
    assert begun.module.fc.out_features == len(labels)
    assert torch.equal(begun.module.conv1.weight, kept.module.conv1.weight)
    assert not torch.equal(begun.module.fc.weight[:2], kept.module.fc.weight[:2])


def test_channels_that_no_image_file_has_are_refused():
    with pytest.raises(OptionError, match="channels: given 4; expected 1 or 3"):
        start("cifar_resnet20", "random", ("a", "b"), 4, seed=0)


def test_weights_that_are_not_there_are_told(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read weights from"):
        start("cifar_resnet20", str(tmp_path / "none.pth"), ("a", "b"), None, seed=0)
    assert not Path(tmp_path / "none.pth").exists()
