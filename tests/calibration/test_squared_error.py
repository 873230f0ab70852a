import numpy as np
import pytest

from calibration.observers import BINS, Histogram
from calibration.ranges import GRIDS, Grid
from calibration.squared_error import squared_error

RNG = np.random.default_rng(0)
SIGNED = RNG.standard_normal(20_000).astype(np.float32)
RECTIFIED = np.maximum(SIGNED, 0)


def bin_by_bin(histogram: Histogram, grid: Grid, low: float, high: float, weight: float) -> float:
    """The same, each bin's centre sent to the grid and back, in squared bins."""
    j = np.arange(2 * BINS) - BINS
    x = j + 0.5 * np.sign(j)
    reach = max(-low, high) / grid.highest if grid.symmetric else (high - low) / 255
    scale = reach / histogram.width
    zero = 0 if grid.symmetric else np.rint(-low / histogram.width / scale) + grid.lowest
    wanted = np.rint(x / scale)
    given = np.clip(wanted, grid.lowest - zero, grid.highest - zero)
    costs = np.where(given == wanted, 1.0, weight) * (given * scale - x) ** 2
    return float(costs @ histogram.counts)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("values", [SIGNED, RECTIFIED, -RECTIFIED])
@pytest.mark.parametrize("weight", [1.0, 30.0])
def test_the_error_of_every_range_is_the_sum_over_all_bins(grid, values, weight):
    histogram = Histogram()
    histogram.see(values)
    highs = histogram.highest * np.array([1.0, 0.7, 0.3, 0.01, 1.0, 0.4])
    lows = histogram.lowest * np.array([1.0, 0.7, 0.3, 0.01, 0.2, 1.0])
    found = squared_error(histogram, grid, weight)(lows, highs)
    for low, high, error in zip(lows, highs, found, strict=True):
        assert error == pytest.approx(bin_by_bin(histogram, grid, low, high, weight), rel=1e-9)
