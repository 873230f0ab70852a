import pytest
import torch
import torchvision

from export.models.catalogue import find, names
from export.samples import sample_images
from runtime.errors import UnknownModelError

TORCHVISION_NAMES = [name for name in names() if find(name).classes == 1000]


@pytest.mark.parametrize("name", names())
def test_every_card_builds_a_model_of_its_own_input_and_classes(name: str) -> None:
    card = find(name)
    with torch.device("meta"):
        model = card.build(classes=card.classes, channels=card.channels).eval()
        logits = model(torch.empty(2, card.channels, card.image.crop, card.image.crop))
    assert card.name == name
    assert logits.shape == (2, card.classes)
    assert sample_images(card.samples)


@pytest.mark.parametrize("name", names())
def test_a_published_accuracy_has_its_source(name: str) -> None:
    card = find(name)
    assert (card.top1 is None) == (card.source == "")


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_accuracy_and_preprocessing_are_those_of_the_first_published_weights(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    transforms = weights.transforms()
    card = find(name)
    assert card.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert [card.image.resize] == transforms.resize_size
    assert [card.image.crop] == transforms.crop_size
    assert list(card.image.mean) == transforms.mean
    assert list(card.image.std) == transforms.std
    assert card.image.interpolation == transforms.interpolation.value


@pytest.mark.parametrize("wrong", ["resnet5O", "ResNet50", "resnet-50", "resnet55"])
def test_an_unknown_name_is_refused_with_the_nearest_ones(wrong: str) -> None:
    with pytest.raises(UnknownModelError, match=rf"no model '{wrong}'; did you mean .*resnet50\b"):
        find(wrong)


@pytest.mark.parametrize("wrong", ["", "mobilenet\nv2", "x" * 100_000])
def test_a_name_like_no_other_is_refused_in_one_line_with_all_names(wrong: str) -> None:
    with pytest.raises(UnknownModelError) as raised:
        find(wrong)
    message = str(raised.value)
    assert "wide_resnet101_2" in message
    assert "\n" not in message
    assert len(message) < 500
