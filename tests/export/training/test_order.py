from dataclasses import replace
from pathlib import Path

import pytest

from export.training.recipes import Pace
from export.training.split import Shares
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

SPEC = ImageSpec(resize=256, crop=224, mean=(0.5,), std=(0.5,), channels="L")


def test_the_recipe_decides_what_is_left_open(order):
    bare = replace(order, weights="", epochs=0)
    scratch = bare.resolve()
    assert (scratch.weights, scratch.epochs) == ("random", 100)
    tuned = replace(bare, recipe="gradual").resolve()
    assert (tuned.weights, tuned.epochs) == ("imagenet", 15)


@pytest.mark.parametrize(
    ("recipe", "weights", "message"),
    [
        ("scratch", "imagenet", "starts from random weights; given 'imagenet'; leave --weights"),
        ("freeze", "random", "needs trained weights; given 'random'; choose scratch"),
    ],
)
def test_weights_that_do_not_go_with_the_recipe_are_refused(order, recipe, weights, message):
    with pytest.raises(OptionError, match=message):
        replace(order, recipe=recipe, weights=weights).resolve()


@pytest.mark.parametrize(
    ("resize", "crop", "expected"),
    [
        (None, None, (256, 224)),
        (144, 128, (144, 128)),
        (None, 112, (128, 112)),
        (300, None, (300, 224)),
    ],
)
def test_a_crop_alone_keeps_its_share_of_the_image(order, resize, crop, expected):
    spec = replace(order, resize=resize, crop=crop).geometry(SPEC)
    assert (spec.resize, spec.crop) == expected


def test_a_crop_larger_than_the_image_is_refused(order):
    with pytest.raises(OptionError, match="crop 128 is larger than resize 100"):
        replace(order, resize=100, crop=128).geometry(SPEC)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"split_seed": 1},
        {"pace": Pace(batch=8)},
        {"pace": Pace(batch=40, rate=0.2)},
        {"shares": Shares(val=0.2)},
        {"epochs": 4},
        {"crop": 9},
        {"augment": "none"},
        {"balance": True},
        {"precision": "bfloat16"},
    ],
)
def test_whatever_decides_the_result_is_in_the_key(order, changes):
    assert replace(order, **changes).key("data", "start") != order.key("data", "start")


def test_the_images_and_the_starting_weights_are_in_the_key(order):
    assert order.key("data", "start") != order.key("other", "start")
    assert order.key("data", "start") != order.key("data", "other")


def test_what_does_not_decide_the_result_may_change(order):
    moved = replace(order, data=Path("a"), output=Path("b"), test=True, threads=0, workers=1)
    assert moved.key("data", "start") == order.key("data", "start")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "magic"}, "recipe: given 'magic'; expected one of freeze"),
        ({"schedule": "linear"}, "schedule: given 'linear'; expected one of cosine"),
        ({"augment": "mixup"}, "augmentation: given 'mixup'; expected one of none"),
        ({"epochs": -1}, "epochs: given -1"),
        ({"seed": -1}, "seed: given -1"),
        ({"threads": 10_000}, "threads: given 10000; expected 0 to"),
        ({"workers": -1}, "workers: given -1; expected 0 to"),
        ({"label_smoothing": 1.0}, "label smoothing: given 1; expected 0 to below 1"),
    ],
)
def test_values_that_cannot_work_are_refused(order, changes, message):
    with pytest.raises(OptionError, match=message):
        replace(order, **changes)
