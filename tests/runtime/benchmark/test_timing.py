import itertools
import subprocess
import sys
import time
from pathlib import Path

from runtime.benchmark.timing import Pace, peak_mib, time_window, warm_up

ROOT = Path(__file__).parents[3]


def sleeper(*seconds):
    """Return a function that takes these times, the last for ever."""
    times = itertools.chain(seconds, itertools.repeat(seconds[-1]))
    return lambda: time.sleep(next(times))


def test_warm_up_lasts_until_runs_take_equally_long():
    cold = [0.02] * 7
    assert warm_up(sleeper(*cold, 0.005), Pace()) >= len(cold) + 5
    assert warm_up(sleeper(0.005), Pace()) < 30


def test_warm_up_of_what_never_gets_warm_ends():
    slower = (0.001 * 1.2**n for n in itertools.count())
    start = time.perf_counter()
    warm_up(lambda: time.sleep(next(slower)), Pace(warm_up_seconds=0.2))
    assert time.perf_counter() - start < 1


def test_window_lasts_as_long_as_it_shall_and_tells_each_run():
    pace = Pace(window_seconds=0.1)
    start = time.perf_counter()
    taken = time_window(sleeper(0.002), pace)
    assert 0.1 <= time.perf_counter() - start < 0.3
    assert 10 < len(taken) <= 50
    assert min(taken) >= 2


def test_window_of_slow_runs_has_three_and_the_first_does_not_count():
    taken = time_window(sleeper(0.2, 0.05), Pace(window_seconds=0.01))
    assert len(taken) == 3
    assert max(taken) < 150


def test_peak_is_that_of_the_process_itself():
    # A child's getrusage begins with the peak of whoever started it.
    large = bytearray(b"x") * (150 << 20)
    code = "from runtime.benchmark.timing import peak_mib; print(peak_mib())"
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 5 < float(child.stdout) < 140 < len(large) / 2**20 < peak_mib()
