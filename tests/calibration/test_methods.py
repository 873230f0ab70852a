import numpy as np
import pytest

from calibration.methods import METHODS, entropy, minmax, mse, percentile, tails
from calibration.observers import Histogram
from calibration.ranges import GRIDS, INT8, UINT8, Grid, Range

RNG = np.random.default_rng(0)
SIGNED = RNG.standard_normal(200_000).astype(np.float32)
RECTIFIED = np.maximum(RNG.laplace(size=200_000), 0).astype(np.float32)
SKEWED = (RNG.gamma(2.0, size=200_000) - 1).astype(np.float32)


def seen(values: np.ndarray) -> Histogram:
    histogram = Histogram()
    histogram.see(np.asarray(values, np.float32))
    return histogram


def error(values: np.ndarray, grid: Grid, chosen: Range) -> float:
    """Mean squared error of values that go to the grid and back."""
    scale, zero_point = grid.fit(chosen)
    steps = np.clip(np.rint(values / scale) + zero_point, grid.lowest, grid.highest) - zero_point
    return float(((steps * scale - values.astype(np.float64)) ** 2).mean())


@pytest.mark.parametrize("grid", GRIDS)
def test_minmax_is_the_exact_extremes(grid):
    assert minmax(seen(SIGNED), grid) == Range(low=float(SIGNED.min()), high=float(SIGNED.max()))


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("values", [SIGNED, RECTIFIED, -RECTIFIED, SKEWED, SIGNED + 20])
def test_every_range_holds_zero_and_reaches_no_farther_than_the_values(method, grid, values):
    chosen = method(seen(values), grid)
    assert min(0.0, values.min()) <= chosen.low <= 0 <= chosen.high <= max(0.0, values.max())


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("values", [[], [0.0], [1e-42]])
def test_a_tensor_that_is_always_zero_still_gets_a_scale(method, grid, values):
    assert method(seen(np.array(values)), grid) == Range(low=0.0, high=1.0)


def test_percentile_clips_the_value_that_lies_alone():
    values = np.append(RECTIFIED, 1000)
    assert minmax(seen(values), UINT8).high == 1000
    assert percentile(seen(values), UINT8).high < 20


def test_percentile_clips_one_value_in_a_hundred_thousand():
    for values in (SIGNED, RECTIFIED):
        chosen = percentile(seen(values), UINT8)
        assert 0 < np.count_nonzero(values > chosen.high) <= 2
    symmetric = percentile(seen(SIGNED), INT8)
    reach = max(-symmetric.low, symmetric.high)
    assert 0 < np.count_nonzero(np.abs(SIGNED) > reach) <= 2


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("values", [SIGNED, RECTIFIED, SKEWED])
def test_mse_has_a_smaller_error_than_no_clipping_and_than_its_neighbours(grid, values):
    chosen = mse(seen(values), grid)
    least = error(values, grid, chosen)
    assert least < 0.95 * error(values, grid, minmax(seen(values), grid))
    for factor in (0.85, 0.9, 1.1, 1.2):
        neighbour = Range(low=chosen.low * factor, high=chosen.high * factor)
        assert least < error(values, grid, neighbour)


def test_mse_moves_the_two_sides_of_a_skewed_tensor_by_different_shares():
    # Spread evenly below zero, exponential above; quantiles, so that no draw decides.
    shares = (np.arange(200_000) + 0.5) / 200_000
    skewed = np.concatenate([-6 * shares[::4], -np.log1p(-shares)])
    chosen, whole = (method(seen(skewed), UINT8) for method in (mse, minmax))
    assert chosen.low / whole.low > chosen.high / whole.high + 0.1


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("values", [SIGNED, RECTIFIED, SKEWED])
def test_tails_clips_less_than_mse_and_more_than_minmax(grid, values):
    by_mse, by_tails, by_minmax = (method(seen(values), grid) for method in (mse, tails, minmax))
    assert by_mse.high < by_tails.high <= by_minmax.high


def divergences(magnitudes: np.ndarray, levels: int) -> dict[int, float]:
    """Kullback-Leibler divergence by threshold, written out bin by bin."""
    counts = magnitudes.astype(float)
    counts[0] = counts[1]
    found = {}
    for threshold in range(levels, np.flatnonzero(counts)[-1] + 2):
        p = counts[:threshold].copy()
        if not p[-1]:
            continue
        p[-1] += counts[threshold:].sum()
        q = np.zeros(threshold)
        for level in range(levels):
            part = slice(threshold * level // levels, threshold * (level + 1) // levels)
            filled = counts[:threshold][part] > 0
            if filled.any():
                q[part][filled] = counts[:threshold][part].sum() / filled.sum()
        p, q = p / p.sum(), q / q.sum()
        found[threshold] = float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))
    return found


def test_entropy_finds_the_least_divergence_of_the_textbook_loop():
    histogram = seen(np.append(RECTIFIED, 2 * RECTIFIED.max()))  # worth clipping
    expected = divergences(histogram.magnitudes, 128)
    threshold = round(entropy(histogram, INT8).high / histogram.width)
    # Not every threshold is tried, so that the best one may be missed by a little.
    assert expected[threshold] < 1.03 * min(expected.values())
    assert expected[threshold] < 0.99 * expected[max(expected)]


def test_entropy_of_values_too_narrow_for_the_levels_clips_nothing():
    values = np.array([1.0, 0.001, 0.002])
    assert entropy(seen(values), UINT8).high == 1.0
