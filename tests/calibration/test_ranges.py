import math

import pytest

from calibration.ranges import INT8, NARROWEST, UINT8, ActivationRanges, Range
from runtime.errors import OptionError


def test_int8_has_no_zero_point_and_spans_the_larger_side():
    assert INT8.fit(Range(low=-2.54, high=1.0)) == (2.54 / 127, 0)
    assert INT8.fit(Range(low=0.0, high=1.27)) == (1.27 / 127, 0)


def test_uint8_spans_both_sides_and_has_zero_point_zero_without_negatives():
    assert UINT8.fit(Range(low=0.0, high=2.55)) == (2.55 / 255, 0)
    assert UINT8.fit(Range(low=-1.0, high=1.55)) == (2.55 / 255, 100)
    assert UINT8.fit(Range(low=-2.55, high=0.0)) == (2.55 / 255, 255)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.1, 1.0), (-1.0, -0.1), (0.0, 0.0), (math.nan, 1.0), (0.0, math.inf), (0, NARROWEST / 2)],
)
def test_a_range_without_zero_or_width_is_refused(low, high):
    with pytest.raises(OptionError, match=r"^range: given .* expected finite low <= 0 <= high"):
        Range(low=low, high=high)


def test_a_tensor_that_was_not_measured_is_named():
    ranges = ActivationRanges(grid="int8", method="mse", tensors={"a": Range(low=0.0, high=1.0)})
    assert ranges["a"].high == 1.0
    with pytest.raises(OptionError, match=r"no range was measured for the tensor 'b'"):
        ranges["b"]
