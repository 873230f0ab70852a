import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # comes with scikit-learn; runtime does without

from runtime.evaluation.statistics import calibration_bins, calibration_error, p_worse, wilson


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_in_the_literature(count, of, low, high):
    share = wilson(count, of)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)
    assert share.value == count / of


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_share_and_stays_within_0_and_1(counts):
    share = wilson(*counts)
    assert 0 <= share.low <= share.value <= share.high <= 1


def test_of_nothing_nothing_is_known():
    assert (wilson(0, 0).low, wilson(0, 0).high, wilson(0, 0).value) == (0, 1, 0)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_test_is_the_binomial_one(wrong, right):
    expected = 1.0
    if wrong + right:
        expected = binomtest(wrong, wrong + right, 0.5, alternative="greater").pvalue
    assert p_worse(wrong, right) == pytest.approx(expected, rel=1e-9)


def test_mcnemars_test_of_many_changes_is_still_exact():
    assert p_worse(10_500, 10_000) == pytest.approx(
        binomtest(10_500, 20_500, 0.5, alternative="greater").pvalue, rel=1e-6
    )
    assert 0 < p_worse(20_000, 0) < 1e-300 or p_worse(20_000, 0) == 0


def test_no_change_and_a_gain_show_nothing_worse():
    assert p_worse(0, 0) == 1
    assert p_worse(0, 12) == 1
    assert p_worse(12, 0) == 2**-12


def _brute_force(confidence, right):
    total = 0.0
    for number in range(15):
        inside = [i for i, c in enumerate(confidence) if number / 15 < c <= (number + 1) / 15]
        if inside:
            gap = np.mean([confidence[i] for i in inside]) - np.mean([right[i] for i in inside])
            total += len(inside) * abs(gap)
    return total / len(confidence)


@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_is_the_mean_gap_over_the_bins(pairs):
    confidence, right = (np.array(column) for column in zip(*pairs, strict=True))
    bins = calibration_bins(confidence.astype(np.float64), right)
    assert sum(each.images for each in bins) == len(pairs)
    assert calibration_error(bins) == pytest.approx(_brute_force(confidence, right), abs=1e-9)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    sure = np.ones(4)
    assert calibration_error(calibration_bins(sure, np.ones(4, bool))) == 0
    assert calibration_error(calibration_bins(sure, np.zeros(4, bool))) == 1
    assert calibration_error(calibration_bins(sure[:0], np.ones(0, bool))) == 0
