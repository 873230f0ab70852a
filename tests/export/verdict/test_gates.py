"""Gates: what a variant may lose, and what few images cannot tell."""

import dataclasses
import math

import pytest

from export.verdict.gates import (
    ACCURACY_GATES,
    FAIL,
    NOT_SHOWN,
    PASS,
    WARN,
    AccuracyGate,
    drop_interval,
)
from runtime.errors import OptionError

INT8, FLOAT16 = ACCURACY_GATES["int8"], ACCURACY_GATES["float16"]


@pytest.mark.parametrize(
    ("images", "wrong", "right", "status"),
    [
        (50_000, 300, 200, PASS),  # 0.20 points
        (50_000, 400, 200, PASS),  # 0.40: more than usual, not yet a warning
        (50_000, 500, 200, WARN),  # 0.60
        (50_000, 900, 200, FAIL),  # 1.40
        (500, 0, 0, PASS),  # up to 0.39 points cannot be excluded, 1.0 can
        (100, 0, 0, NOT_SHOWN),  # 1.9 points cannot be excluded
        (500, 9, 9, NOT_SHOWN),  # nothing lost, but 1.7 points cannot be excluded
        (60, 1, 0, NOT_SHOWN),  # 1.67 points, but a single image
        (60, 2, 0, FAIL),
        (0, 0, 0, NOT_SHOWN),
    ],
)
def test_int8_is_judged_by_what_it_lost_and_by_what_the_images_can_show(
    images, wrong, right, status
):
    assert INT8.judge_drop(images, wrong, right) == status


def test_float16_may_lose_next_to_nothing():
    assert FLOAT16.judge_drop(50_000, 12, 10) == PASS
    assert FLOAT16.judge_drop(50_000, 60, 10) == FAIL
    assert FLOAT16.judge_drop(500, 1, 0) == NOT_SHOWN
    assert FLOAT16.judge_drop(500, 0, 0) == NOT_SHOWN


def test_agreement_counts_what_a_drop_hides():
    assert INT8.judge_drop(10_000, 200, 200) == PASS
    assert INT8.judge_agreement(10_000, 9_600) == FAIL
    assert INT8.judge_agreement(10_000, 9_900) == PASS
    assert INT8.judge_agreement(20, 19) == NOT_SHOWN
    assert INT8.judge_agreement(20, 18) == FAIL
    assert INT8.judge_agreement(0, 0) == NOT_SHOWN


def test_images_of_which_one_would_break_the_gate_are_too_few_to_pass_it():
    assert INT8.judge_agreement(99, 99) == NOT_SHOWN
    assert INT8.judge_agreement(100, 100) == INT8.judge_agreement(100, 99) == PASS
    strict = dataclasses.replace(INT8, least_agreement=1.0)
    assert strict.judge_agreement(50, 50) == PASS
    assert strict.judge_agreement(50, 49) == NOT_SHOWN
    assert strict.judge_agreement(50, 48) == FAIL


def test_the_interval_is_that_of_agresti_and_min():
    # Their table 1: 1600 subjects of 944 and 880 approvals, 150 and 86 changed: 0.0400, 0.0208 to
    # 0.0590 by Wald; adding a subject in all moves the third digit only.
    drop, low, high = drop_interval(1600, 150, 86)
    assert drop == pytest.approx(4.0)
    assert low == pytest.approx(2.1, abs=0.1)
    assert high == pytest.approx(5.9, abs=0.1)
    assert drop_interval(525, 0, 0)[2] == pytest.approx(100 * 1.96 / 527, rel=1e-3)
    assert drop_interval(3, 3, 0)[2] == 100
    assert drop_interval(3, 0, 3)[1] == -100


@pytest.mark.parametrize(
    "limits",
    [(0.5, 0.3, 1.0, 0.99), (0.3, 0.5, 1.0, 1.2), (-1, 0.5, 1.0, 0.9), (0, 0, math.nan, 0.9)],
)
def test_a_gate_that_makes_no_sense_is_refused(limits):
    usual, warn, fail, agreement = limits
    with pytest.raises(OptionError, match="expected 0 <= usual <= warn <= fail"):
        AccuracyGate(
            usual_points=usual, warn_points=warn, fail_points=fail, least_agreement=agreement
        )
