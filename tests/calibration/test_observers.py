import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from calibration.observers import BINS, Histogram

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = arrays.arrays(np.float32, st.integers(1, 60), elements=FLOATS)


def seen(*batches: np.ndarray) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.see(batch)
    return histogram


def same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.counts, other.counts) and (one.exponent, one.lowest, one.highest) == (
        other.exponent,
        other.lowest,
        other.highest,
    )


@given(VALUES, st.data())
def test_split_and_order_of_the_values_change_nothing(values, data):
    shuffled = values[data.draw(st.permutations(range(len(values))))]
    cut = data.draw(st.integers(0, len(values)))
    assert same(seen(values), seen(shuffled[:cut], shuffled[cut:]))


@given(VALUES, VALUES)
def test_merging_two_histograms_is_seeing_both_their_values(first, second):
    merged, other = seen(first), seen(second)
    before = other.counts.copy()
    merged.merge(other)
    assert same(merged, seen(first, second))
    assert np.array_equal(other.counts, before)


@settings(max_examples=30)
@given(VALUES)
def test_each_value_is_counted_in_the_bin_that_holds_it(values):
    histogram = seen(values)
    bins = np.trunc(values.astype(np.float64) / histogram.width).astype(int)
    assert np.array_equal(histogram.counts, np.bincount(bins + BINS, minlength=2 * BINS))
    assert np.array_equal(histogram.magnitudes, np.bincount(np.abs(bins), minlength=BINS))


def test_extremes_are_exact_and_the_grid_is_the_narrowest_that_covers_them():
    histogram = seen(np.array([[0.1, -3.7], [2.0, 0.0]], np.float32))
    assert histogram.lowest == np.float32(-3.7)
    assert histogram.highest == 2.0
    assert histogram.exponent == 2
    assert histogram.width == 4 / BINS


def test_a_power_of_two_lies_on_the_next_wider_grid():
    histogram = seen(np.array([4.0], np.float32))
    assert histogram.exponent == 3
    assert histogram.counts[BINS + BINS // 2] == 1


def test_many_values_of_a_tensor_larger_than_a_piece_are_all_counted():
    values = np.random.default_rng(0).standard_normal((3, 5, 100, 131), dtype=np.float32)
    histogram = seen(values)
    edges = np.arange(1, BINS) * histogram.width
    expected, _ = np.histogram(values, bins=edges)
    assert histogram.counts.sum() == values.size
    assert np.array_equal(histogram.counts[BINS + 1 : -1], expected)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [1e-40, -1e-45], [3e38, -3e38]])
def test_the_ends_of_float32_are_counted_as_any_value(values):
    histogram = seen(np.array(values, np.float32))
    assert histogram.counts.sum() == len(values)


@pytest.mark.parametrize(
    ("bad", "name"), [(math.nan, "NaN"), (math.inf, "infinity"), (-math.inf, "infinity")]
)
def test_a_value_that_is_no_number_is_refused_and_nothing_is_counted(bad, name):
    histogram, untouched = (seen(np.array([1.0], np.float32)) for _ in range(2))
    with pytest.raises(ValueError, match=f"^{name}$"):
        histogram.see(np.array([9.0, bad, 2.0], np.float32))
    assert same(histogram, untouched)
