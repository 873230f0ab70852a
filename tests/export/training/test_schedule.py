import pytest
import torch

from export.training.schedule import schedule
from runtime.errors import OptionError


def rates(name: str, steps: int) -> list[tuple[float, float]]:
    """Return the rates of a fast and a slow stage at each step."""
    fast, slow = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    groups = [{"params": [fast], "lr": 1.0}, {"params": [slow], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    change = schedule(name, optimizer, steps)
    found = []
    for _ in range(steps):
        found.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        change.step()
    return found


@pytest.mark.parametrize("name", ["cosine", "onecycle", "steps"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 100])
def test_stages_keep_their_proportion_however_many_steps_there_are(name, steps):
    for fast, slow in rates(name, steps):
        assert slow == pytest.approx(fast / 10)
        assert 0 <= fast <= 1 + 1e-12


def test_cosine_goes_from_the_rate_to_nothing():
    found = [fast for fast, _ in rates("cosine", 100)]
    assert found[0] == 1
    assert found[50] == pytest.approx(0.5)
    assert found[-1] < 1e-3
    assert found == sorted(found, reverse=True)


def test_onecycle_rises_to_the_rate_and_falls():
    found = [fast for fast, _ in rates("onecycle", 100)]
    assert found[0] == pytest.approx(1 / 25)
    assert found.index(max(found)) == 29
    assert max(found) == pytest.approx(1)
    assert found[-1] < 1e-4


def test_steps_divide_the_rate_by_ten_three_times():
    found = [fast for fast, _ in rates("steps", 100)]
    at = [found[step] for step in (0, 29, 30, 59, 60, 89, 90)]
    assert at == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_an_unknown_schedule_is_refused():
    with pytest.raises(
        OptionError, match="given 'linear'; expected one of cosine, onecycle, steps"
    ):
        rates("linear", 10)
