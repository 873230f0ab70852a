"""Kills are simulated by an observer that raises: nothing runs after it, as after a real one."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from export.training.arithmetic import choose_arithmetic
from export.training.find_data import find_data
from export.training.order import Order
from export.training.prepare import Plan, prepare
from export.training.recipes import Pace, recipe
from export.training.save_point import SavePoint
from export.training.schedule import schedule
from export.training.start import start
from export.training.state import State
from export.training.train import train
from runtime.errors import OptionError
from runtime.terminal import Screen


class KilledError(Exception):
    pass


@dataclass
class Killer:
    """Ends everything after a step, or just before the state after an epoch is saved."""

    step: int | None = None
    epoch: int | None = None
    steps: list[int] = field(default_factory=list)

    def stepped(self, state: State) -> None:
        self.steps.append(state.step)
        if state.step == self.step:
            raise KilledError

    def ended(self, state: State) -> None:
        if len(state.history) == self.epoch:
            raise KilledError


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(order: Order, path: Path, killer: Killer, seconds: float = 0.0) -> State:
    """Train in what stands for a fresh process; by default the state is saved after every step."""
    order = order.resolve()
    data = find_data(order.data, order.shares, order.split_seed)
    begun = start(order.model, order.load_options(), data.labels)
    plan = Plan(
        order=order,
        data=data,
        start=begun,
        geometry=order.geometry(begun.image),
        recipe=recipe(order.recipe, begun.module, order.pace),
        arithmetic=choose_arithmetic(order.precision),
    )
    course = prepare(plan, Screen(quiet=True))
    optimizer = plan.recipe.optimizer(begun.module)
    change = schedule(order.schedule, optimizer, course.batches.steps)
    state = State(module=begun.module, optimizer=optimizer, schedule=change)
    key = order.key(data.digest(), begun.sha256)
    save_point = SavePoint(path=path, key=key, surroundings={}, seconds=seconds)
    save_point.take_up(state)
    train(state, course, save_point, killer)
    return state


def same(one: State, other: State) -> bool:
    """Return whether two trainings ended in the same bits, what the optimizer keeps included."""
    first, second = one.to_document(), other.to_document()
    pairs = [(first["module"], second["module"])]
    kept = first["optimizer"]["state"], second["optimizer"]["state"]
    assert kept[0].keys() == kept[1].keys()
    pairs += [(kept[0][index], kept[1][index]) for index in kept[0]]
    tensors = all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)
    rates = [
        [g["lr"] for g in document["optimizer"]["param_groups"]] for document in (first, second)
    ]
    return tensors and rates[0] == rates[1] and one.history == other.history


@pytest.fixture(scope="module")
def whole(order, tmp_path_factory) -> State:
    return run(order, tmp_path_factory.mktemp("whole") / "state.pt", Killer())


@pytest.mark.parametrize("step", [1, 2, 3, 6])
def test_a_training_killed_at_any_step_ends_in_the_same_bits(order, whole, tmp_path, step):
    path = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        run(order, path, Killer(step=step))
    killer = Killer()
    resumed = run(order, path, killer)
    # The step that was killed was done and not saved: it is done again, and none before it.
    assert killer.steps == list(range(step, 7))
    assert same(resumed, whole)


def test_a_training_killed_between_an_epoch_and_its_saving_ends_in_the_same_bits(
    order, whole, tmp_path
):
    path = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        run(order, path, Killer(epoch=2))
    killer = Killer()
    assert same(run(order, path, killer), whole)
    assert killer.steps[0] == 4


def test_a_training_killed_again_and_again_ends_in_the_same_bits(order, whole, tmp_path):
    path = tmp_path / "state.pt"
    for step in (2, 3, 5):
        with pytest.raises(KilledError):
            run(order, path, Killer(step=step))
    assert same(run(order, path, Killer()), whole)


def test_without_a_minute_in_between_the_state_is_that_of_the_last_epoch(order, tmp_path):
    path = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        run(order, path, Killer(step=4), seconds=60)
    killer = Killer()
    run(order, path, killer, seconds=60)
    assert killer.steps[0] == 3


@pytest.mark.parametrize("name", ["freeze", "gradual"])
def test_a_recipe_with_stages_goes_on_in_the_right_one(order, tmp_path, name):
    weights = Path(__file__).parents[3] / "export/models/weights/resnet20-digits.safetensors"
    staged = replace(
        order,
        model="resnet20-digits",
        recipe=name,
        weights=str(weights),
        pace=Pace(batch=12, stage_epochs=1),
        epochs=2,
        schedule="cosine",
    )
    whole = run(staged, tmp_path / "whole.pt", Killer())
    path = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        run(staged, path, Killer(step=9))
    assert same(run(staged, path, Killer()), whole)


def test_another_seed_ends_elsewhere(order, whole, tmp_path):
    assert not same(run(replace(order, seed=1), tmp_path / "state.pt", Killer()), whole)


def test_bfloat16_learns_as_well(order, whole, tmp_path):
    state = run(replace(order, precision="bfloat16"), tmp_path / "state.pt", Killer())
    assert not same(state, whole)
    assert state.history[-1].loss == pytest.approx(whole.history[-1].loss, abs=0.15)
    assert all(value.dtype == torch.float32 for value in state.module.parameters())


def test_a_loss_that_is_no_number_stops_the_training_with_advice(order, tmp_path):
    path = tmp_path / "state.pt"
    diverging = replace(order, pace=Pace(batch=40, rate=10.0), epochs=30, schedule="steps")
    broken = replace(diverging, label_smoothing=0.0)
    with pytest.raises(OptionError, match=r"the loss became (nan|inf) in epoch \d+.* lower --lr"):
        run(broken, path, Killer())
    assert not path.exists()
