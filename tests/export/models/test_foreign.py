"""Models of other libraries and of one's own factory."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torchvision

from export.load import load
from export.load_options import LoadOptions
from runtime.errors import (
    BackendMissingError,
    CheckpointError,
    DeployError,
    OptionError,
    UnknownModelError,
)

FACTORIES = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return self.head(self.backbone(images).flatten(1))

class Trained(Small):
    def __init__(self):
        super().__init__()
        for value in self.parameters():
            value.data.fill_(0.5)

class OneSize(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 5))

class Dropping(Small):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5)

class Certain(Small):
    def forward(self, images):
        return super().forward(images).softmax(1)

class Broken(Small):
    def __init__(self):
        super().__init__()
        self.head.weight.data[0, 0] = float("nan")

def leaves(): raise SystemExit(3)
def number(): return 3
def broken(): raise ValueError("no licence\\nfound")
def pair(): return type("Pair", (Small,), {"forward": lambda self, x: (x, x)})()
constant = 7
"""

TWO_ORIGINS = ("Small", "Trained")


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The current folder, with a module of factories that is forgotten afterwards."""
    (tmp_path / "own_models.py").write_text(FACTORIES)
    (tmp_path / "own_broken.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_a_factory_of_the_current_folder_makes_the_model(own) -> None:
    path = list(sys.path)
    classifier = load("own_models:Small", LoadOptions(resize=40, crop=32, mean=(0.5,)))
    assert (classifier.name, classifier.classes) == ("own_models:Small", 3)
    assert (classifier.in_channels, classifier.image.channels) == (2, "planes")
    assert (classifier.image.crop, classifier.image.mean) == (32, (0.5, 0.5))
    assert not classifier.module.training
    assert sys.path == path


def test_equal_seeds_start_a_factorys_model_equally(own) -> None:
    first, same, other = (
        load("own_models:Small", LoadOptions(seed=seed)).weights.sha256 for seed in (1, 1, 2)
    )
    assert first == same != other


def test_a_factory_that_reads_its_weights_is_not_called_random(own) -> None:
    drawn, read = (load(f"own_models:{name}", LoadOptions()).weights for name in TWO_ORIGINS)
    assert (drawn.origin, drawn.detail) == ("random", "as the model starts, seed 0")
    assert (read.origin, read.detail) == ("factory", "as the factory makes them")


def test_a_model_of_one_size_is_tried_at_the_size_that_was_asked_for(own) -> None:
    classifier = load("own_models:OneSize", LoadOptions(resize=32, crop=32))
    assert (classifier.classes, classifier.image.crop) == (5, 32)


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.model."])
def test_its_weights_are_read_by_its_own_names_in_any_wrapper(own, wrapper: str) -> None:
    module = load("own_models:Small", LoadOptions(seed=5)).module
    weights = {f"{wrapper}{name}": value for name, value in module.state_dict().items()}
    torch.save({"state_dict": weights}, "own.pth")
    classifier = load("own_models:Small", LoadOptions(weights="own.pth"))
    assert (classifier.weights.origin, classifier.weights.detail) == ("file", "own.pth")
    images = torch.randn(2, 2, 9, 9)
    assert torch.equal(classifier.module(images), module(images))


def test_weights_that_are_not_a_factorys_are_refused(own) -> None:
    torch.save({"fc.weight": torch.zeros(3, 4)}, "own.pth")
    with pytest.raises(CheckpointError, match=r"are not those of own_models:Small.*is missing"):
        load("own_models:Small", LoadOptions(weights="own.pth"))


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("own_models:missing", UnknownModelError, "no callable 'missing' in the module own_models"),
        ("own_models:constant", UnknownModelError, "no callable 'constant'"),
        ("own_models:number", OptionError, "returned a int; expected a torch.nn.Module"),
        ("own_models:broken", OptionError, "ValueError: no licence found"),
        ("own_models:leaves", OptionError, "cannot make own_models:leaves: SystemExit: 3"),
        ("own_models:pair", OptionError, "returns a tuple; expected one tensor of logits"),
        ("own_models:OneSize", OptionError, "cannot take an image 3x224x224"),
        ("own_models:Dropping", OptionError, "answers the same image in two ways"),
        ("own_models:Certain", OptionError, "returns probabilities; expected logits"),
        ("own_models:Broken", CheckpointError, "holds NaN or infinity in 'head.weight'"),
        ("own_broken:Small", OptionError, "ModuleNotFoundError: No module named 'no_such_package'"),
        ("no_such_module:Small", OptionError, "No module named 'no_such_module'"),
        (":Small", OptionError, "cannot make :Small"),
        ("torchvision:resnet5O", UnknownModelError, "did you mean resnet50"),
    ],
)
def test_a_model_that_cannot_be_made_is_one_line(own, name, kind, expected: str) -> None:
    with pytest.raises(DeployError) as raised:
        load(name, LoadOptions())
    assert type(raised.value) is kind
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": 4}, "given 4, but own_models:Small has 3"),
        ({"weights": "imagenet"}, "given imagenet weights; expected a checkpoint file"),
        ({"head": "stages"}, "of which only the logits are known"),
        ({"init": "kaiming"}, "given --init kaiming"),
        ({"from_rgb": "sum", "channels": 1}, "given --from-rgb sum"),
    ],
)
def test_options_that_a_factory_cannot_meet_are_refused(own, options, expected: str) -> None:
    with pytest.raises(OptionError) as raised:
        load("own_models:Small", LoadOptions(**options))
    assert expected in str(raised.value)


def test_a_model_of_torchvision_brings_the_preprocessing_of_its_first_weights() -> None:
    classifier = load("torchvision:mobilenet_v3_small", LoadOptions(classes=6))
    first = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.transforms()
    assert (classifier.classes, classifier.in_channels) == (6, 3)
    assert [classifier.image.resize, classifier.image.crop] == [
        *first.resize_size,
        *first.crop_size,
    ]
    with pytest.raises(OptionError, match="given 1 channels; torchvision's models have 3"):
        load("torchvision:mobilenet_v3_small", LoadOptions(channels=1))


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_library_that_is_not_installed_is_named_with_what_to_run() -> None:
    with pytest.raises(BackendMissingError, match=r"needs the package 'timm'\. Run: pip install"):
        load("timm:resnet18", LoadOptions())


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
def test_a_model_of_timm_brings_the_preprocessing_of_its_data_config() -> None:
    classifier = load("timm:resnet10t", LoadOptions(classes=5, channels=1))
    assert (classifier.classes, classifier.in_channels, classifier.image.crop) == (5, 1, 176)
