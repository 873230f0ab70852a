"""Picks the best of what was measured: the fastest whose accuracy is above a floor.

    latency      the lowest median at batch 1
    throughput   the most images a second, at any batch

Of those within 3 % of the best, less than windows agree to, the one with fewer threads and smaller
batches is taken: it leaves more of the machine to others.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path

from runtime.benchmark.document import Benchmark, Measurement
from runtime.benchmark.machine import Machine
from runtime.benchmark.plan import Plan
from runtime.benchmark.tuning import Tuning
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.evaluation.document import Evaluation, read_evaluation
from runtime.variant import ORACLE

__all__ = ["GOALS", "Floor", "find_floor", "tune", "widen"]

GOALS = ("latency", "throughput")
_BATCHES = {"latency": (1,), "throughput": (1, 4, 16)}
"""Worth trying, by goal; on a processor throughput hardly grows beyond."""
_TIE = 0.03
_INT8_GATE = 0.003
"""Top-1 that a variant may lose where no floor is given: 0.3 points, as correct int8 does."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Which variants may be chosen, and why."""

    top1: dict[str, float]
    """By name, of those that may be."""
    engines: tuple[str, ...]
    """Those of them that are engines."""
    floor: float
    reason: str
    """For a person."""


def find_floor(bundle: Bundle, evaluation: Path, accuracy_floor: float) -> Floor:
    """Return which variants and engines are accurate enough, by the evaluation if there is one.

    Args:
        bundle: what is tuned.
        evaluation: a file that `evaluate` writes; it need not exist.
        accuracy_floor: the least top-1, 0 to 1; negative for the default, 0.3 points below fp32.

    Raises:
        OptionError: if there is no evaluation to hold a floor against, or nothing is above it.
        BundleError: if the file is no evaluation.
    """
    if accuracy_floor > 1:
        raise OptionError(
            f"--accuracy-floor: given {accuracy_floor:g}; expected a share of 0 to 1, perhaps "
            f"{accuracy_floor / 100:g}"
        )
    if not evaluation.exists():
        if accuracy_floor >= 0:
            raise OptionError(
                f"--accuracy-floor needs an evaluation, and there is no '{evaluation}'; make it: "
                f"python -m runtime evaluate {bundle.folder} --data FOLDER"
            )
        return Floor(
            top1={"fp32": 0.0},
            engines=(),
            floor=0.0,
            reason=f"only fp32, because there is no '{evaluation.name}' to tell of the others",
        )
    known = _known(bundle, read_evaluation(evaluation))
    if accuracy_floor < 0:
        if "fp32" not in known:
            raise OptionError(
                f"'{evaluation}' does not tell of this bundle's fp32; evaluate it, or give "
                "--accuracy-floor"
            )
        accuracy_floor = max(0.0, known["fp32"] - _INT8_GATE)
    enough = {name: top1 for name, top1 in known.items() if top1 >= accuracy_floor}
    if not enough:
        found = ", ".join(f"{name} {top1:.4f}" for name, top1 in known.items()) or "nothing"
        raise OptionError(
            f"nothing reaches a top-1 of {accuracy_floor:g}: '{evaluation}' tells of {found}"
        )
    return Floor(
        top1=enough,
        engines=tuple(name for name in enough if name in bundle.manifest.engines),
        floor=accuracy_floor,
        reason=f"top-1 of at least {accuracy_floor:.2%}: {', '.join(enough)}",
    )


def widen(plan: Plan, goal: str, floor: Floor, machine: Machine) -> Plan:
    """Return the plan with what is worth trying in the place of what it leaves open."""
    own = plan.variants or plan.engines
    able = [name for name in floor.top1 if name != ORACLE or plan.providers != ("cpu",)]
    return dataclasses.replace(
        plan,
        variants=plan.variants if own else tuple(n for n in able if n not in floor.engines),
        engines=plan.engines if own or not machine.gpu else floor.engines,
        threads=plan.threads or _thread_counts(machine),
        batches=plan.batches or _BATCHES[goal],
    )


def _thread_counts(machine: Machine) -> tuple[int, ...]:
    """Return the thread counts worth trying: powers of 2, and all cores."""
    cores = max(1, min(machine.cores, math.ceil(machine.quota) or machine.cores))
    powers = [2**n for n in range(cores.bit_length()) if 2**n <= cores]
    return tuple(sorted({*powers, cores}))


def tune(found: Benchmark, goal: str, floor: Floor) -> Tuning:
    """Return the best of the measurements.

    Raises:
        OptionError: if none may be chosen.
    """
    eligible = [
        each
        for each in found.measurements
        if each.case.name in floor.top1 and (each.case.batch == 1 or goal == "throughput")
        if not (each.case.name == ORACLE and each.case.provider == "cpu")
    ]
    if not eligible:
        raise OptionError(
            f"nothing that was measured may be chosen for {goal} ({floor.reason}); name other "
            "variants or batches"
        )
    best = min(_cost(each, goal) for each in eligible)
    near = [each for each in eligible if _cost(each, goal) <= best * (1 + _TIE)]
    chosen = min(near, key=lambda each: (_threads(each), each.case.batch, _cost(each, goal)))
    engine = chosen.case.provider == "engine"
    return Tuning(
        goal=goal,
        variant="" if engine else chosen.case.name,
        engine=chosen.case.name if engine else "",
        provider="cpu" if engine else chosen.case.provider,
        threads=chosen.case.threads,
        batch=chosen.case.batch,
        p50_ms=chosen.p50_ms,
        images_per_s=chosen.images_per_s,
        top1=floor.top1[chosen.case.name],
        floor=floor.floor,
        sha256=found.files[chosen.case.name],
        machine=found.machine,
    )


def _cost(measurement: Measurement, goal: str) -> float:
    return measurement.p50_ms if goal == "latency" else 1 / measurement.images_per_s


def _threads(measurement: Measurement) -> int:
    return measurement.case.threads or os.cpu_count() or 1


def _known(bundle: Bundle, evaluation: Evaluation) -> dict[str, float]:
    """Return the top-1 of what was evaluated and still is the same file, by name."""
    manifest = bundle.manifest
    files = manifest.model_files
    return {
        name: result.top1.value
        for name, result in evaluation.variants.items()
        if name in files and manifest.files[files[name]].sha256 == result.sha256
    }
