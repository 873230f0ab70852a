import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.benchmark.timing import Pace, peak_mib, time_window, warm_up

ROOT = Path(__file__).parents[3]


class Scene:
    """A function that takes these seconds, the last for ever, and the only clock that notices."""

    def __init__(self, *seconds):
        self.now = 0.0
        self._times = itertools.chain(seconds, itertools.repeat(seconds[-1]))

    def run(self):
        self.now += next(self._times)

    def clock(self):
        return self.now


def test_warm_up_lasts_until_runs_take_equally_long():
    cold = Scene(*[0.02] * 7, 0.005)
    assert warm_up(cold.run, Pace(), cold.clock) == 7 + 8  # five, three of them warm, and five
    warm = Scene(0.005)
    assert warm_up(warm.run, Pace(), warm.clock) == 10


def test_warm_up_of_what_never_gets_warm_ends():
    slower = Scene(*(0.001 * 1.2**n for n in range(100)))
    warm_up(slower.run, Pace(warm_up_seconds=0.2), slower.clock)
    assert 0.2 <= slower.now < 0.25


def test_window_lasts_as_long_as_it_shall_and_tells_each_run():
    steady = Scene(0.002)
    taken = time_window(steady.run, Pace(window_seconds=0.1), steady.clock)
    assert 0.11 <= steady.now < 0.115  # a tenth more, which does not count
    assert taken == pytest.approx([2] * len(taken))
    assert 49 <= len(taken) <= 51


def test_window_of_slow_runs_has_three_and_the_first_does_not_count():
    slow = Scene(0.2, 0.05)
    taken = time_window(slow.run, Pace(window_seconds=0.01), slow.clock)
    assert taken == pytest.approx([50] * 3)


def test_clock_is_one_of_seconds():
    (taken,) = time_window(lambda: time.sleep(0.02), Pace(window_seconds=0.0, window_runs=1))
    assert taken >= 19.9


def test_peak_is_that_of_the_process_itself():
    # A child's getrusage begins with the peak of whoever started it.
    large = bytearray(b"x") * (150 << 20)
    code = "from runtime.benchmark.timing import peak_mib; print(peak_mib())"
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 5 < float(child.stdout) < 140 < len(large) / 2**20 < peak_mib()
