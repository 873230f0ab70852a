import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import softmax

from runtime.classify import RankedClass, classify
from runtime.errors import BackendError, OptionError

ANIMALS = ("cat", "dog", "eel")


def test_most_probable_class_comes_first():
    logits = np.array([[0, np.log(3), 0], [np.log(8), 0, 0]], np.float32)
    first, second = classify(logits, ANIMALS, top=2)
    assert [(ranked.label, ranked.index) for ranked in first] == [("dog", 1), ("cat", 0)]
    assert [ranked.probability for ranked in first] == pytest.approx([0.6, 0.2])
    assert [ranked.label for ranked in second] == ["cat", "dog"]


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_probabilities_are_the_softmax_in_double_precision(logits):
    expected = softmax(logits.astype(np.float64), axis=1)
    for row, ranking in zip(expected, classify(logits, top=logits.shape[1]), strict=True):
        assert sorted(ranked.index for ranked in ranking) == list(range(len(row)))
        for ranked in ranking:
            assert ranked.probability == pytest.approx(row[ranked.index], rel=1e-9, abs=1e-300)
        probabilities = [ranked.probability for ranked in ranking]
        assert probabilities == sorted(probabilities, reverse=True)


def test_logits_too_large_for_the_exponential_still_rank():
    (ranking,) = classify(np.array([[9000.0, 9001.0, -9000.0]]), ANIMALS)
    assert [ranked.label for ranked in ranking] == ["dog", "cat", "eel"]
    assert ranking[0].probability == pytest.approx(1 / (1 + np.exp(-1)))


def test_equal_logits_stand_in_the_order_of_their_index():
    (ranking,) = classify(np.array([[1.0, 2.0, 1.0, 2.0]]), top=4)
    assert [ranked.index for ranked in ranking] == [1, 3, 0, 2]


def test_logits_that_softmax_cannot_tell_apart_are_ranked_all_the_same():
    (ranking,) = classify(np.array([[-800.0, -700.0, 100.0]]), ANIMALS)
    assert [ranked.label for ranked in ranking] == ["eel", "dog", "cat"]
    assert ranking[1].probability == ranking[2].probability == 0


def test_a_model_without_labels_gets_its_class_numbers():
    (ranking,) = classify(np.array([[0.0, 1.0]]), top=1)
    assert ranking == (RankedClass(label="1", index=1, probability=pytest.approx(0.731058578)),)


def test_more_than_there_is_yields_all_there_is():
    assert [len(ranking) for ranking in classify(np.zeros((2, 3)), ANIMALS, top=5)] == [3, 3]


def test_no_images_yield_no_rankings():
    assert classify(np.zeros((0, 3), np.float32), ANIMALS) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(value):
    logits = np.zeros((3, 4), np.float32)
    logits[1, 2] = value
    with pytest.raises(BackendError, match="the logits of image 1 hold NaN or infinity"):
        classify(logits)


def test_labels_of_another_model_are_refused():
    with pytest.raises(OptionError, match="labels: given 3; expected 4, one per class"):
        classify(np.zeros((1, 4)), ANIMALS)


def test_top_0_is_refused():
    with pytest.raises(OptionError, match="top: given 0; expected at least 1"):
        classify(np.zeros((1, 3)), ANIMALS, top=0)
