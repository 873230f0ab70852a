import pytest

from runtime.building.monitor import BuildWatch


def test_a_phase_fills_one_step_of_the_phase_it_stands_in():
    seen = []
    watch = BuildWatch(lambda share, phase: seen.append((round(share, 3), phase)))
    watch.start("building", 2)
    watch.start("optimizing", 4)
    watch.step("optimizing", 0)
    watch.step("optimizing", 2)
    watch.finish("optimizing")
    watch.step("building", 0)
    watch.step("building", 1)
    assert seen == [
        (0.125, "optimizing"),
        (0.375, "optimizing"),
        (0.5, "building"),
        (1.0, "building"),
    ]


def test_the_share_never_falls_when_phases_fill_a_step_one_after_the_other():
    shares = []
    watch = BuildWatch(lambda share, phase: shares.append(share))
    watch.start("building", 2)
    for phase in ("first", "second"):
        watch.start(phase, 2)
        watch.step(phase, 0)
        watch.step(phase, 1)
        watch.finish(phase)
    assert shares == sorted(shares)
    assert shares[-1] == 0.5


def test_a_build_goes_on_until_it_is_called_off():
    watch = BuildWatch(lambda share, phase: None)
    watch.start("building", 3)
    assert watch.step("building", 0)
    watch.cancelled = True
    assert not watch.step("building", 1)


@pytest.mark.parametrize("error", [ValueError("full"), KeyboardInterrupt()])
def test_what_progress_raises_ends_the_build_and_is_kept(error):
    def fail(share, phase):
        raise error

    watch = BuildWatch(fail)
    watch.start("building", 3)
    assert not watch.step("building", 0)
    assert watch.failure is error


def test_phases_in_any_order_raise_nothing():
    watch = BuildWatch(lambda share, phase: None)
    assert watch.step("never begun", 3)
    watch.finish("never begun")
    for _ in range(2):
        watch.start("twice", 2)
    for _ in range(2):
        watch.finish("twice")
    assert watch.step("twice", 0)
