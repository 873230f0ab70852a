"""Finetunes: from labelled images to the best checkpoint, which exports as it is.

data -> start -> plan -> statistics of the training images -> train -> [judge on test images]

OUTPUT/best.safetensors   the epoch that names most validation images rightly
OUTPUT/state.pt           where to go on: the same order takes it up
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from export.training.arithmetic import choose_arithmetic
from export.training.batches import batches_per_epoch
from export.training.display import Display
from export.training.find_data import find_data
from export.training.judge import judge
from export.training.keep_best import keep_best
from export.training.order import Order
from export.training.prepare import Plan, prepare
from export.training.recipes import recipe
from export.training.save_point import SavePoint
from export.training.schedule import schedule
from export.training.score import Score
from export.training.start import start
from export.training.state import EpochRecord, State
from export.training.train import Course, train
from runtime.errors import OptionError
from runtime.terminal import Screen

__all__ = ["Outcome", "finetune"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a training."""

    checkpoint: Path
    labels: tuple[str, ...]
    history: tuple[EpochRecord, ...]
    best: EpochRecord
    test: Score | None
    """On the test images; None if they were not asked for."""


def finetune(order: Order, screen: Screen) -> Outcome:
    """Return what came of the order; what was begun goes on, what is done is not repeated.

    Raises:
        DeployError: if anything of the order cannot work, or the training diverged.
    """
    order = order.resolve()
    checkpoint = order.output / "best.safetensors"
    with _settings(order.threads):
        plan = _plan(order, screen)
        steps = batches_per_epoch(len(plan.data.train), order.pace.batch) * order.epochs
        state = _begin(plan, steps)
        save_point = _take_up(plan, state, steps, screen)
        if state.step < steps:
            course = prepare(plan, screen)
            with Display(screen, course.batches, state.step) as display:
                keeper = _Keeper(checkpoint, plan, course, display)
                train(state, course, save_point, keeper)
            each = save_point.spent_seconds / save_point.saves
            screen.note(f"saved {save_point.saves} times, {each:.2f} s each")
        test = judge(checkpoint, plan.data, order.workers or 0) if order.test else None
    return Outcome(
        checkpoint=checkpoint,
        labels=plan.data.labels,
        history=tuple(state.history),
        best=state.best,
        test=test,
    )


@dataclass(frozen=True)
class _Keeper:
    """Keeps the best epoch, and shows them all."""

    path: Path
    plan: Plan
    course: Course
    display: Display

    def stepped(self, state: State) -> None:
        self.display.stepped(state)

    def ended(self, state: State) -> None:
        keep_best(self.path, self.plan, self.course.batches.image, state)
        self.display.ended(state)


@contextlib.contextmanager
def _settings(threads: int) -> Iterator[None]:
    """Let torch compute the same bits every time, in that many threads; 0 is torch's choice."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(mode=before[1])


def _plan(order: Order, screen: Screen) -> Plan:
    data = find_data(order.data, order.shares, order.split_seed)
    if order.test and not data.test:
        raise OptionError(f"{data.origin}: there are no test images; leave --test out, or add some")
    begun = start(order.model, order.load_options(), data.labels)
    plan = Plan(
        order=order,
        data=data,
        start=begun,
        geometry=order.geometry(begun.image),
        recipe=recipe(order.recipe, begun.module, order.pace),
        arithmetic=choose_arithmetic(order.precision),
    )
    screen.note(f"data: {data.origin}; {len(data.labels)} classes")
    screen.note(f"start: {begun.name}, {begun.origin}")
    screen.note(f"arithmetic: {plan.arithmetic}, {torch.get_num_threads()} threads")
    if plan.statistics_epochs < order.epochs:
        since = f" from epoch {plan.statistics_epochs + 1} on" if plan.statistics_epochs else ""
        screen.note(
            f"batch norm keeps its statistics{since}: a batch has but {order.pace.batch} images"
        )
    return plan


def _begin(plan: Plan, steps: int) -> State:
    module = plan.start.module
    # Channels last is what oneDNN's convolutions want; the weights stay the same.
    module.to(memory_format=torch.channels_last)
    optimizer = plan.recipe.optimizer(module)
    change = schedule(plan.order.schedule, optimizer, steps)
    return State(module=module, optimizer=optimizer, schedule=change)


def _take_up(plan: Plan, state: State, steps: int, screen: Screen) -> SavePoint:
    surroundings = {"torch": str(torch.__version__), "threads": str(torch.get_num_threads())}
    save_point = SavePoint(
        path=plan.order.output / "state.pt",
        key=plan.order.key(plan.data.digest(), plan.start.sha256),
        surroundings=surroundings | {"arithmetic": str(plan.arithmetic)},
    )
    found = save_point.take_up(state)
    if found is None:
        save_point.save(state)  # a folder that cannot be written is found out now
        return save_point
    screen.note(f"going on after step {state.step} of {steps}, saved before")
    for name, value in save_point.surroundings.items():
        if state.step < steps and found.get(name) != value:
            screen.warn(
                f"{name}: {value} now, {found.get(name)} when it began; "
                "the result differs in its last bits from that of one uninterrupted training"
            )
    return save_point
