"""Shows benchmarks: one row a case, what a bare loop takes, what changed, what was tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from runtime.benchmark.compare import Compared
from runtime.benchmark.document import Benchmark, Case, Measurement
from runtime.benchmark.machine import Machine
from runtime.benchmark.tuning import Tuning
from runtime.table import text_table
from runtime.terminal import Screen, three_digits
from runtime.variant import ORACLE

__all__ = ["OVERHEAD_GOAL", "describe", "show_benchmark"]

OVERHEAD_GOAL = 0.02
"""The most that the runner may add to a bare ONNX Runtime loop, as a share of it."""
_SAMPLES_OF_P99 = 100


def show_benchmark(
    found: Benchmark, compared: Sequence[Compared], tuning: Tuning | None, screen: Screen
) -> None:
    """Write a benchmark, and what it was compared with or tuned for, to the screen."""
    screen.document(_document(found, compared, tuning))
    screen.result(describe(found.machine))
    screen.result(text_table(_HEADER, [_row(each) for each in found.measurements]))
    for remark in _remarks(found):
        screen.result(remark)
    if any(each.overhead for each in found.measurements):
        screen.result(f"\n{_overheads(found)}")
    if compared:
        screen.result(f"\n{_changes(compared)}")


def describe(machine: Machine) -> str:
    """Return the machine in one line."""
    fast = [name for name in machine.isa if name.endswith(("vnni", "amx_int8", "dp", "i8mm"))]
    parts = [
        f"{machine.cpu}, {machine.cores} cores",
        f"{machine.quota:g} of them granted" if machine.quota else "",
        f"int8: {' '.join(fast) or 'no instructions of its own'}",
        f"{machine.memory_gib} GiB",
        f"clock {machine.clock_mhz[0]} to {machine.clock_mhz[1]} MHz"
        if machine.clock_mhz[1]
        else "",
        machine.governor,
        machine.gpu or "no GPU",
    ]
    return ", ".join(filter(None, parts))


_HEADER = ("model", "threads", "batch", "px", "p50 ms", "p90", "p99", "img/s", "load", "MiB")


def _row(each: Measurement) -> tuple[str, ...]:
    case = each.case
    return (
        _name(case) + ("" if each.settled else " ?"),
        str(case.threads or "-"),
        str(case.batch),
        str(case.size),
        *(three_digits(value) for value in (each.p50_ms, each.p90_ms, each.p99_ms)),
        three_digits(each.images_per_s),
        three_digits(each.load_ms),
        f"{each.peak_mib:.0f}" if each.peak_mib else "-",
    )


def _name(case: Case) -> str:
    return case.name if case.provider in ("cpu", "engine") else f"{case.name} {case.provider}"


def _remarks(found: Benchmark) -> list[str]:
    remarks = []
    if any(not each.settled for each in found.measurements):
        remarks.append("?: its windows did not come to agree within 5 %; mistrust this row")
    if any(each.runs < _SAMPLES_OF_P99 for each in found.measurements):
        remarks.append("p99 of fewer than 100 runs is their slowest")
    if any(e.case.name == ORACLE and e.case.provider == "cpu" for e in found.measurements):
        remarks.append(
            f"{ORACLE} of provider cpu is an oracle for TensorRT's answers: its time means nothing"
        )
    return remarks


def _overheads(found: Benchmark) -> str:
    rows = [
        (
            f"{_name(each.case)}, batch {each.case.batch}, {each.case.size} px",
            f"{each.overhead.ratio:.3f}",
            f"{each.overhead.low:.3f} to {each.overhead.high:.3f}",
            _verdict(each.overhead.low - 1, each.overhead.high - 1),
        )
        for each in found.measurements
        if each.overhead
    ]
    return text_table(("against a bare loop", "ratio", "95 % interval", "within 2 %?"), rows)


def _verdict(low: float, high: float) -> str:
    if high <= OVERHEAD_GOAL:
        return "yes"
    return "no" if low > OVERHEAD_GOAL else "cannot be told"


def _changes(compared: Sequence[Compared]) -> str:
    rows = [
        (
            str(each.case),
            three_digits(each.before.p50_ms),
            three_digits(each.after.p50_ms),
            f"{each.ratio:.2f}",
            ("faster" if each.ratio < 1 else "slower") if each.changed else "not shown",
        )
        for each in compared
    ]
    return text_table(("compared", "before ms", "now ms", "ratio", "changed?"), rows)


def _document(
    found: Benchmark, compared: Sequence[Compared], tuning: Tuning | None
) -> dict[str, Any]:
    document = dataclasses.asdict(found)
    if compared:
        document["compared"] = [
            {**dataclasses.asdict(each), "ratio": each.ratio, "changed": each.changed}
            for each in compared
        ]
    if tuning:
        document["tuning"] = dataclasses.asdict(tuning)
    return document
