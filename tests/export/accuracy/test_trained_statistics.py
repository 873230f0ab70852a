"""How near images come to those a module was trained on, by what its BatchNorm remembers."""

from pathlib import Path

import pytest
import torch
from torch import nn

from export.accuracy.trained_statistics import training_distances
from export.accuracy.view import View
from export.load import load
from export.load_options import LoadOptions
from runtime.errors import ImageError


@pytest.fixture(scope="module")
def digits():
    return load("resnet20-digits", LoadOptions())


@pytest.fixture
def paths(scans):
    return sorted(scans.rglob("*.png"))[::3]


def test_images_as_they_were_trained_on_are_near_and_wrong_values_are_far(digits, paths):
    given = View(spec=digits.image)
    as_given, others = training_distances(digits.module, given, paths, fixed_size=True)
    nats = {change.name: distance for change, distance in others}
    assert as_given < 0.06
    assert nats["values 0..255, not normalised"] > 1000
    assert nats["values 0..1, not normalised"] > 0.3
    assert nats["black for white"] > 0.3
    assert all(change.view.spec.crop == digits.image.crop for change, _ in others)


def test_the_distance_is_the_divergence_of_two_normal_distributions(paths, digits):
    norm = nn.BatchNorm2d(1, eps=1e-12).eval()
    given = View(spec=digits.image)
    off, others = training_distances(norm, given, paths, fixed_size=True)
    own = next(nats for change, nats in others if change.measured)
    assert own == pytest.approx(0.0, abs=1e-3)  # of mean 0 and variance 1, as a new layer expects
    assert off > own


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(1, track_running_stats=False)],
    ids=["none", "forgetful"],
)
def test_a_module_that_remembers_nothing_has_no_distance(module, paths, digits):
    given = View(spec=digits.image)
    assert training_distances(module.eval(), given, paths, fixed_size=True) == (None, [])


def test_images_of_which_none_can_be_read_are_an_error(digits, tmp_path):
    broken = Path(tmp_path / "broken.png")
    broken.write_bytes(b"no image")
    with pytest.raises(ImageError, match="none of 1 images could be read"):
        training_distances(digits.module, View(spec=digits.image), [broken], fixed_size=True)


def test_the_module_is_left_as_it_was(digits, paths):
    before = {name: value.clone() for name, value in digits.module.state_dict().items()}
    training_distances(digits.module, View(spec=digits.image), paths, fixed_size=True)
    assert all(torch.equal(before[n], v) for n, v in digits.module.state_dict().items())
    assert all(not module._forward_pre_hooks for module in digits.module.modules())
