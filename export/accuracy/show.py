"""Shows why a model is less accurate than it could be."""

from __future__ import annotations

import dataclasses

from export.accuracy.result import Diagnosis, Trial
from runtime.share import Share
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_diagnosis", "summarize"]

_SHOWN = 12


def show_diagnosis(diagnosis: Diagnosis, screen: Screen) -> None:
    """Show what was tried, what helps, and what a person has to know of it."""
    summary = summarize(diagnosis)
    screen.document({**dataclasses.asdict(diagnosis), "summary": summary})
    for note in diagnosis.notes:
        screen.warn(note)
    rows: list[tuple[str, ...]] = [
        ("as it is", str(diagnosis.top1.of), _percent(diagnosis.top1), "", "")
    ]
    rows += [_row(trial) for trial in diagnosis.trials[:_SHOWN]]
    header = ("change", "images", "top-1", "points", "95 % interval")
    screen.result(text_table(header, rows))
    left = len(diagnosis.trials) - _SHOWN
    if left > 0:
        screen.note(f"and {left} changes that gain less")
    screen.result("")
    for number, cause in enumerate(diagnosis.causes):
        trial = cause.trial
        then = "then " if number else ""
        gain = f"{_percent(trial.before)} to {_percent(trial.top1)}"
        screen.result(f"{then}{trial.change}: {gain}; {trial.cure}")
        if cause.as_good:
            screen.result(f"  not to be told from: {'; '.join(cause.as_good)}")
    if not diagnosis.causes:  # else it is the verdict, told as an error
        screen.result(summary)


def summarize(diagnosis: Diagnosis) -> str:
    """Return the finding in one sentence."""
    top1 = diagnosis.top1
    if not diagnosis.causes:
        return (
            f"none of {len(diagnosis.trials)} changes makes it more accurate beyond accident: "
            f"top-1 is {_percent(top1)} ({100 * top1.low:.1f} to {100 * top1.high:.1f}) of "
            f"{top1.of} images"
        )
    names = ", then ".join(cause.trial.change for cause in diagnosis.causes)
    points = diagnosis.causes[0].trial
    gain = f"{points.points:+.1f} points, {points.low:.1f} to {points.high:.1f}"
    more = "" if len(diagnosis.causes) == 1 else " by the first alone"
    return (
        f"top-1 is {_percent(top1)} instead of {_percent(diagnosis.top1_cured)} ({gain}{more}), "
        f"for the model wants: {names}"
    )


def _row(trial: Trial) -> tuple[str, ...]:
    return (
        trial.change,
        str(trial.top1.of),
        _percent(trial.top1),
        f"{trial.points:+.1f}",
        f"{trial.low:+.1f} to {trial.high:+.1f}",
    )


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} %"
