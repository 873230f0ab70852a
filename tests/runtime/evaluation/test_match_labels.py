import pytest

from runtime.errors import OptionError
from runtime.evaluation import imagenet
from runtime.evaluation.match_labels import match_labels

ANIMALS = ("Polar bear", "black-footed ferret", "crane", "crane", "猫")


@pytest.mark.parametrize(
    ("given", "labels", "expected", "kind"),
    [
        (["猫", "Polar bear"], ANIMALS, [4, 0], "names"),
        (["1", "0"], ("1", "0"), [0, 1], "names"),  # the model's own names, not indices
        (["1", "0"], ("a", "b"), [1, 0], "indices"),
        (["2", "0"], (), [2, 0], "indices"),
        (
            ["polar_bear", "Black-Footed_Ferret"],
            ANIMALS,
            [0, 1],
            "names, but for case, '_' and '-'",
        ),
    ],
)
def test_labels_mean_classes(given, labels, expected, kind):
    classes = len(labels) or 3
    indices, how = match_labels(given, labels, classes)
    assert [indices[label] for label in given] == expected
    assert how == kind


@pytest.mark.parametrize(
    ("given", "labels", "classes", "words"),
    [
        (["zebra", "猫"], ANIMALS, 5, ["1 of the data's 2 labels: 'zebra'", "it has 'Polar bear'"]),
        (["polar bare"], ANIMALS, 5, ["did you mean 'Polar bear'?"]),
        (["crane"], ANIMALS, 5, ["several classes named 'crane'", "0 to 4"]),
        (["Crane"], ANIMALS, 5, ["several classes named 'Crane'"]),
        (["5"], (), 5, ["no labels", "--labels FILE", "0 to 4"]),
        (["cat"], (), 5, ["no labels"]),
        (["train", "val"], ANIMALS, 5, ["one of these folders itself to --data"]),
        (["n01440764"], ANIMALS, 5, ["'n01440764'"]),  # wnids are of models of 1000 classes
    ],
)
def test_label_that_the_model_lacks_is_an_error_of_one_line(given, labels, classes, words):
    with pytest.raises(OptionError) as caught:
        match_labels(given, labels, classes)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_wordnet_ids_are_the_classes_of_imagenet_models():
    indices, how = match_labels(["n01440764", "n15075141", "n01751748"], (), 1000)
    assert indices == {"n01440764": 0, "n15075141": 999, "n01751748": 65}
    assert how == "ILSVRC2012 wnids"


def test_development_kit_numbers_classes_in_an_order_of_its_own():
    # The first validation images, as the kit and as Caffe's val.txt tell their classes.
    indices = imagenet.class_indices()
    known = {490: 65, 361: 970, 171: 230, 822: 809, 297: 516}
    assert {number: indices[imagenet.wnid_of(number)] for number in known} == known
    assert len(indices) == 1000


@pytest.mark.parametrize("number", [0, -1, 1001])
def test_development_kit_has_no_other_numbers(number):
    with pytest.raises(IndexError):
        imagenet.wnid_of(number)
