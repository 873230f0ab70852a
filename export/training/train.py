"""Trains: steps of an optimizer, an evaluation after every epoch, the state saved on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from export.training.arithmetic import Arithmetic
from export.training.batches import Batch, TrainingBatches
from export.training.recipes import Recipe
from export.training.save_point import SavePoint
from export.training.score import Score, score
from export.training.stages import set_learning
from export.training.state import EpochRecord, State
from runtime.errors import OptionError

__all__ = ["Course", "Observer", "train"]


@dataclass(frozen=True, kw_only=True)
class Course:
    """What stays the same during a training."""

    recipe: Recipe
    batches: TrainingBatches
    val_batches: Callable[[], Iterable[Batch]]
    loss: nn.Module
    """Of float32 logits and int64 labels, a mean over the batch."""
    arithmetic: Arithmetic
    classes: int
    statistics_epochs: int
    """In how many epochs BatchNorm normalises by the batch and learns its statistics. In those that
    follow it normalises with what it has learnt, as in inference."""


class Observer(Protocol):
    """Is told how a training goes."""

    def stepped(self, state: State) -> None:
        """A step is done."""

    def ended(self, state: State) -> None:
        """An epoch is done and in the history; the state is not saved yet."""


def train(state: State, course: Course, save_point: SavePoint, observer: Observer) -> None:
    """Take the state from the step it is at to the last one.

    The module is in eval mode afterwards. On one machine, and with one number of threads, a
    training that goes on from a saved state ends in the same bits as one that was not interrupted.

    Raises:
        OptionError: if the loss is no longer a number; what was saved is removed.
        ImageError: if an image can no longer be read.
        CheckpointError: if the state cannot be saved.
    """
    per_epoch = course.batches.per_epoch
    begun = False
    for images, labels in course.batches.since(state.step):
        epoch, done = divmod(state.step, per_epoch)
        if done == 0 or not begun:
            keep_statistics = epoch >= course.statistics_epochs
            learning = course.recipe.learning(epoch)
            set_learning(state.module, learning, keep_statistics=keep_statistics)
            begun = True
        _step(state, course, images, labels)
        _check(state.loss, state, course, save_point)
        observer.stepped(state)
        if state.step % per_epoch == 0:
            _end_epoch(state, course, save_point)
            observer.ended(state)
            save_point.save(state)
        else:
            save_point.save_if_due(state)
    state.module.eval()


def _step(state: State, course: Course, images: Tensor, labels: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=course.arithmetic.bfloat16):
        logits = state.module(images.contiguous(memory_format=torch.channels_last)).float()
    loss: Tensor = course.loss(logits, labels)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    state.schedule.step()
    state.step += 1
    state.loss += loss.item()
    state.right += int((logits.argmax(dim=1) == labels).sum())


def _end_epoch(state: State, course: Course, save_point: SavePoint) -> None:
    batches = course.batches
    found: Score = score(state.module, course.val_batches(), course.classes)
    _check(found.loss, state, course, save_point)
    record = EpochRecord(
        epoch=state.step // batches.per_epoch,
        loss=state.loss / batches.per_epoch,
        accuracy=100 * state.right / (batches.per_epoch * batches.batch),
        val_loss=found.loss,
        val_accuracy=found.accuracy,
    )
    state.history.append(record)
    state.loss, state.right = 0.0, 0


def _check(loss: float, state: State, course: Course, save_point: SavePoint) -> None:
    if math.isfinite(loss):
        return
    save_point.discard()
    epoch, step = divmod(state.step - 1, course.batches.per_epoch)
    rate = max(course.recipe.rates.values())
    other = " or use --precision float32" if course.arithmetic.bfloat16 else ""
    raise OptionError(
        f"the loss became {loss:g} in epoch {epoch + 1}, step {step + 1}: the training diverged; "
        f"give a lower --lr than {rate:g}{other}"
    )
