"""Shows a calibration to a person, and to a program."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from calibration.calibrate import Calibration
from calibration.ranges import INT8, UINT8
from calibration.score_methods import CLOSE_DB
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["calibration_warnings", "show_calibration"]

_MOST_NAMED = 5
"""Names of a kind that are written out."""
_ADVISED = 300
"""Images below which a person is told that more would be better; the advice of NVIDIA and Intel."""
_MOVING = 0.1
"""Share of a scale; when half of the images changed it by more, the rest may be too few as well."""


def show_calibration(calibration: Calibration, output: Path, screen: Screen) -> None:
    """Write what was found, as text or as one JSON document."""
    for warning in calibration_warnings(calibration):
        screen.warn(warning)
    screen.result(_ranges_table(calibration))
    screen.result("")
    if calibration.scores:
        screen.result(_scores_table(calibration))
        screen.result(f"chosen: what clips least within {CLOSE_DB:g} dB of the best on its grid")
        screen.result("")
    for line in _lines(calibration):
        screen.result(line)
    screen.result(f"ranges: {output}")
    screen.document(_document(calibration, output))


def calibration_warnings(calibration: Calibration) -> list[str]:
    """Return what a person should know of the calibration set, a line each."""
    survey = calibration.survey
    found = [f"skipped {file}" for file in survey.skipped[:_MOST_NAMED]]
    if len(survey.skipped) > _MOST_NAMED:
        found.append(f"more files skipped: {len(survey.skipped) - _MOST_NAMED}")
    if survey.duplicates:
        found.append(f"duplicate images, {len(survey.duplicates)}: {_named(survey.duplicates)}")
    if survey.constant:
        found.append(f"{len(survey.constant)} images of one colour: {_named(survey.constant)}")
    if survey.read < _ADVISED:
        found.append(f"{survey.read} images are few; {_ADVISED} or more are advised")
    moved = calibration.convergence
    if moved.worst > _MOVING:
        found.append(
            f"the scale of '{moved.tensor}' moved by {moved.worst:.0%} with the second half of the "
            "images: use more of them"
        )
    return found


def _named(names: tuple[str, ...]) -> str:
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(Path(name).name for name in names[:_MOST_NAMED]) + more


def _ranges_table(calibration: Calibration) -> str:
    int8, uint8 = (calibration.ranges.ranges(grid) for grid in (INT8, UINT8))
    rows = []
    for name, values in uint8.tensors.items():
        scale, zero_point = UINT8.fit(values)
        symmetric, _ = INT8.fit(int8[name])
        rows.append(
            [
                name,
                f"{values.low:.4g}",
                f"{values.high:.4g}",
                f"{scale:.4g}",
                str(zero_point),
                f"{symmetric:.4g}",
            ]
        )
    header = ["tensor", "low", "high", "uint8 scale", "zero", "int8 scale"]
    return text_table(header, rows)


def _scores_table(calibration: Calibration) -> str:
    rows = []
    for each in calibration.scores:
        taken = calibration.ranges.grids[each.grid].method == each.method
        rows.append(
            [
                each.grid,
                each.method,
                f"{each.score.sqnr_db:.2f}",
                f"{100 * each.score.top1_agreement:.1f} %",
                "chosen" if taken else "",
            ]
        )
    return text_table(["grid", "method", "SQNR dB", "top-1 agreement", ""], rows)


def _lines(calibration: Calibration) -> list[str]:
    survey, moved = calibration.survey, calibration.convergence
    sizes = ", ".join(f"{size} ({count})" for size, count in list(survey.sizes.items())[:2])
    more = len(survey.sizes) - 2
    return [
        f"images: {survey.read} measured, of {calibration.available}; {len(survey.skipped)} "
        f"skipped, {len(survey.duplicates)} duplicates",
        f"content: {sizes}{f' and {more} more sizes' if more > 0 else ''}; "
        f"{survey.saturated:.1%} of values saturated",
        f"convergence: scales moved {moved.median:.1%} (median), {moved.worst:.1%} (worst) "
        "from half to all images",
    ]


def _document(calibration: Calibration, output: Path) -> dict[str, Any]:
    document = dataclasses.asdict(calibration)
    del document["answers"]  # of every image: what int8 is made with, no result
    for entry in document["scores"]:  # JSON has no infinity: no error at all is no number
        if entry["score"]["sqnr_db"] == float("inf"):
            entry["score"]["sqnr_db"] = None
    return {"file": str(output), **document}
