import dataclasses

import pytest

from runtime.benchmark.compare import compare
from runtime.errors import OptionError


def test_cases_that_both_have_are_compared(make_benchmark):
    before = make_benchmark(("fp32", 1, 1, 10.0), ("fp32", 1, 8, 50.0), ("fp16", 1, 1, 8.0))
    after = make_benchmark(("fp32", 1, 8, 40.0), ("int8.cpu", 1, 1, 4.0), ("fp32", 1, 1, 10.2))
    both = compare(before, after)
    assert [(each.case.batch, each.ratio) for each in both] == [
        (8, 0.8),
        (1, pytest.approx(1.02)),
    ]
    # 2 % is what windows differ by; 20 % is not.
    assert [each.changed for each in both] == [True, False]


def test_five_percent_apart_is_not_yet_a_change(make_benchmark):
    (both,) = compare(make_benchmark(("fp32", 1, 1, 10.0)), make_benchmark(("fp32", 1, 1, 10.4)))
    assert min(both.after.windows_ms) > max(both.before.windows_ms)
    assert not both.changed


@pytest.mark.parametrize(
    ("field", "value"),
    [("cores", 64), ("isa", ("avx2",)), ("gpu", "T4"), ("governor", "powersave")],
)
def test_unlike_machines_are_refused(make_benchmark, field, value):
    after = make_benchmark(("fp32", 1, 1, 10.0))
    other = dataclasses.replace(after.machine, **{field: value})
    with pytest.raises(OptionError, match=f"unlike machines do not compare: {field}: "):
        compare(dataclasses.replace(after, machine=other), after)


def test_nothing_in_common_is_refused(make_benchmark):
    with pytest.raises(OptionError, match="no case in common"):
        compare(make_benchmark(("fp32", 1, 1, 10.0)), make_benchmark(("fp32", 2, 1, 10.0)))
