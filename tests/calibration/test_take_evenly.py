"""Some of many are spread over all of them; few are taken whole."""

import pytest

from calibration.take_evenly import take_evenly


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(10, 5, [0, 2, 4, 6, 8]), (10, 3, [0, 3, 6]), (3, 10, [0, 1, 2]), (0, 4, []), (4, 0, [])],
)
def test_so_many_at_most_are_taken_spread_over_all(count, most, expected):
    assert take_evenly(range(count), most) == expected
