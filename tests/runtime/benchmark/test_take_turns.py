import itertools

import pytest

from runtime.benchmark.take_turns import Rule, take_turns

RULE = Rule()


def repeat(*medians):
    """Return a contestant whose windows have these medians, the last for ever."""
    values = itertools.chain(medians, itertools.repeat(medians[-1]))
    return lambda: [next(values)] * 5


def ignore():
    pass


def test_steady_windows_settle_after_three():
    (timed,) = take_turns([repeat(1.0)], RULE, ignore)
    assert timed.settled
    assert timed.medians == [1, 1, 1]
    assert len(timed.runs) == 15


def test_windows_repeat_until_three_in_a_row_agree():
    (timed,) = take_turns([repeat(9.0, 1.0, 1.04, 5.0, 2.0, 2.1, 2.09)], RULE, ignore)
    assert timed.medians == [9, 1, 1.04, 5, 2, 2.1, 2.09]
    assert timed.settled


def test_windows_that_never_agree_end_after_ten_and_are_said_to():
    (timed,) = take_turns([repeat(*(1.06**n for n in range(20)))], RULE, ignore)
    assert len(timed.windows) == 10
    assert not timed.settled


def test_all_go_on_until_the_last_has_settled():
    steady, late = take_turns([repeat(1.0), repeat(3.0, 2.0, 1.0)], RULE, ignore)
    assert len(steady.windows) == len(late.windows) == 5


@pytest.mark.parametrize("drift", [0.005, -0.005])
def test_drifting_machine_favours_none(drift):
    clock = itertools.count()

    def contestant():
        return [1 + drift * next(clock)] * 3

    timed = take_turns([contestant] * 4, Rule(fewest=10), ignore)
    means = [sum(each.medians) / len(each.medians) for each in timed]
    assert max(means) == pytest.approx(min(means), rel=1e-12)
    # In the same order each time, the last would have seen a machine three steps further on.
    assert abs(drift) * 3 / max(means) > 1e-3


def test_each_window_is_told():
    told = []
    take_turns([repeat(1.0)] * 2, RULE, lambda: told.append(1))
    assert len(told) == 6
