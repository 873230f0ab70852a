"""RGB weights for other channels, on a photograph that has one: a solar cell under current."""

from dataclasses import replace
from pathlib import Path

import elpv_dataset
import pytest
import torch
from torch import Tensor

from export.classifier import Classifier
from export.load import load
from export.load_options import LoadOptions
from export.models.catalogue import find
from export.models.channels import for_channels, port_stem
from runtime.errors import CheckpointError, OptionError
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

SOLAR_CELL = Path(elpv_dataset.__file__).parent / "data" / "images" / "cell0001.png"


@pytest.fixture(scope="module")
def rgb_file(tmp_path_factory) -> str:
    """A file of RGB weights, seeded, whose norms do something."""
    path = tmp_path_factory.mktemp("rgb") / "rgb.pth"
    torch.save(load("resnet18", LoadOptions(classes=10)).module.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def rgb(rgb_file) -> Classifier:
    return load("resnet18", LoadOptions(weights=rgb_file))


def ported(file: str, way: str, channels: int = 1) -> Classifier:
    return load("auto", LoadOptions(weights=file, channels=channels, from_rgb=way))


def answer(classifier: Classifier, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = classifier.module(images)
    return logits


def photograph(image: ImageSpec) -> Tensor:
    return torch.from_numpy(preprocess(open_image(SOLAR_CELL), image))[None]


def gap(first: Tensor, second: Tensor) -> float:
    """The largest difference, as a share of the largest logit."""
    return ((first - second).abs().max() / second.abs().max()).item()


@pytest.mark.parametrize("way", ["sum", "adapter"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_equal_planes_give_what_three_equal_planes_gave_to_rounding(
    rgb, rgb_file, way: str, channels: int
) -> None:
    classifier = ported(rgb_file, way, channels)
    plane = photograph(for_channels(rgb.image, 1))
    truth = answer(rgb, plane.repeat(1, 3, 1, 1))
    assert classifier.in_channels == classifier.image.channel_count == channels
    assert gap(answer(classifier, plane.repeat(1, channels, 1, 1)), truth) < 1e-5


def test_repeat_is_the_rgb_model_to_the_bit(rgb, rgb_file) -> None:
    classifier = ported(rgb_file, "repeat")
    assert (classifier.in_channels, classifier.image) == (3, rgb.image)
    assert classifier.weights.sha256 == rgb.weights.sha256
    assert torch.equal(
        answer(classifier, photograph(classifier.image)), answer(rgb, photograph(rgb.image))
    )
    assert any("keeps 3 channels" in note for note in classifier.notes)


def test_mean_makes_a_third_of_the_activations_of_sum(rgb, rgb_file) -> None:
    plane = photograph(for_channels(rgb.image, 1))
    full, third = (ported(rgb_file, way).module.conv1 for way in ("sum", "mean"))
    with torch.inference_mode():
        assert torch.allclose(3 * third(plane), full(plane), rtol=1e-4, atol=1e-5)
    truth = answer(rgb, plane.repeat(1, 3, 1, 1))
    assert gap(answer(ported(rgb_file, "mean"), plane), truth) > 1e-2


def test_luma_weighs_the_colours_by_their_brightness(rgb, rgb_file) -> None:
    red, green, blue = rgb.module.conv1.weight.unbind(dim=1)
    kernel = ported(rgb_file, "luma").module.conv1.weight
    assert torch.allclose(kernel[:, 0], 0.2989 * red + 0.5870 * green + 0.1140 * blue, atol=1e-6)
    bgr = port_stem({"conv1.weight": rgb.module.conv1.weight}, 2, "luma", "BGR")["conv1.weight"]
    assert torch.allclose(bgr[:, 1], 0.1140 * red + 0.5870 * green + 0.2989 * blue, atol=1e-6)


def test_luma_keeps_what_a_stem_of_one_kernel_for_all_colours_does(rgb, rgb_file) -> None:
    kernel = rgb.module.conv1.weight[:, :1]
    weights = {"conv1.weight": kernel.repeat(1, 3, 1, 1)}
    share = 0.2989 + 0.5870 + 0.1140
    assert torch.allclose(port_stem(weights, 1, "luma")["conv1.weight"], share * kernel, atol=1e-6)


def test_one_mean_and_std_stand_for_those_of_the_three_channels(rgb_file) -> None:
    grey = ported(rgb_file, "sum").image
    assert (grey.channels, grey.mean, grey.std) == ("L", (0.449,), (0.226,))
    assert ported(rgb_file, "sum", 5).image.channels == "planes"


def test_an_adapter_starts_even_without_bias_and_can_be_read_again(rgb_file, tmp_path) -> None:
    classifier = ported(rgb_file, "adapter", 2)
    adapter = classifier.module.get_submodule("adapter")
    assert adapter.weight.unique().tolist() == [0.5]
    assert adapter.bias is None
    torch.save(classifier.module.state_dict(), tmp_path / "again.pth")
    again = load("auto", LoadOptions(weights=str(tmp_path / "again.pth")))
    assert (again.in_channels, again.weights.sha256) == (2, classifier.weights.sha256)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"from_rgb": "blend", "channels": 1}, "given 'blend'; expected one of repeat, mean"),
        ({"from_rgb": "sum"}, "given no channels; expected another number than the 3"),
        ({"from_rgb": "sum", "channels": 3}, "given 3 channels; expected another number"),
        ({"from_rgb": "repeat", "channels": 2}, "only a single one is repeated"),
    ],
)
def test_ways_that_cannot_work_are_refused(options, expected: str) -> None:
    with pytest.raises(OptionError) as raised:
        LoadOptions(**options)
    assert expected in str(raised.value)


def test_weights_that_are_not_of_rgb_images_are_refused(rgb_file, tmp_path) -> None:
    torch.save(ported(rgb_file, "sum").module.state_dict(), tmp_path / "grey.pth")
    with pytest.raises(CheckpointError, match="have 1 channels; expected 3, as of RGB images"):
        ported(str(tmp_path / "grey.pth"), "mean", 2)
    adapted = ported(rgb_file, "adapter").module.state_dict()
    with pytest.raises(CheckpointError, match="has 3 channels and an adapter before them"):
        port_stem(adapted, 2, "sum")


def test_random_weights_need_no_porting() -> None:
    with pytest.raises(OptionError, match="given random weights, which are drawn for any number"):
        load("resnet18", LoadOptions(channels=1, from_rgb="sum"))


def test_the_stem_of_another_kind_of_number_is_rounded_once() -> None:
    weights = {"conv1.weight": torch.randn(8, 3, 3, 3, dtype=torch.float16)}
    kernel = port_stem(weights, 1, "sum")["conv1.weight"]
    assert kernel.dtype == torch.float16
    assert torch.equal(kernel[:, 0], weights["conv1.weight"].double().sum(1).half())


def test_preprocessing_of_the_same_channels_is_left_alone() -> None:
    image = replace(find("resnet18").image, channels="BGR")
    assert for_channels(image, 3) is image
