"""Benchmarks a bundle: every variant, batch, size, provider and thread count asked for, in turn.

Each model runs in a process of its own, which waits while others have their windows.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator, Sequence

from runtime.benchmark.busy_cores import busy_cores
from runtime.benchmark.document import SCHEMA_VERSION, Benchmark, Measurement, Overhead
from runtime.benchmark.line_up import Contestant, line_up
from runtime.benchmark.machine import Machine
from runtime.benchmark.plan import Plan
from runtime.benchmark.take_turns import RULE, Rule, Timed, take_turns
from runtime.benchmark.timing import Pace
from runtime.bundle import Bundle
from runtime.installed_tools import installed_tools
from runtime.terminal import Screen

__all__ = ["bench"]

_PAIRED = Rule(fewest=24, most=24)
"""Windows beside a bare loop: enough pairs for an interval that excludes 2 % where it can."""
_BUSY = 0.25
"""Processors' worth of work of others that is warned of."""


def bench(bundle: Bundle, plan: Plan, machine: Machine, screen: Screen) -> Benchmark:
    """Return how fast the bundle's variants and engines run here.

    Raises:
        OptionError: if there is no such variant or engine, or it does not take such a batch or
            size.
        BackendError: if a model cannot run as asked.
    """
    warnings = list(_busy(machine))
    for warning in warnings:
        screen.warn(warning)
    with contextlib.ExitStack() as held:
        with screen.step("open") as step:
            contestants, left_out = line_up(bundle, plan, held, screen)
            step.detail = ", ".join(dict.fromkeys(each.case.name for each in contestants))
        peaks = []
        with screen.progress("warm up", len(contestants)) as advance:
            for each in contestants:
                peaks.append(each.child.warm_up(each.shape, each.dtype, plan.pace).peak_mib)
                advance()
        rule = _PAIRED if plan.against else Rule()
        turns = [_window(each, plan.pace) for each in contestants]
        total = len(turns) * rule.most
        with screen.step("measure") as step, screen.progress("measure", total) as advance:
            timed = take_turns(turns, rule, advance)
            step.detail = f"{len(turns)} cases, {len(timed[0].windows)} rounds"
    manifest, names = bundle.manifest, dict.fromkeys(each.case.name for each in contestants)
    bare = {each.case: times for each, times in zip(contestants, timed, strict=True) if each.bare}
    return Benchmark(
        schema_version=SCHEMA_VERSION,
        bundle=str(bundle.folder.absolute()),
        model=manifest.model.name,
        files={name: manifest.files[manifest.model_files[name]].sha256 for name in names},
        machine=machine,
        protocol=RULE,
        measurements=tuple(
            _measurement(each, times, peak, bare.get(each.case))
            for each, times, peak in zip(contestants, timed, peaks, strict=True)
            if not each.bare
        ),
        tools=installed_tools(),
        left_out=left_out,
        warnings=tuple(warnings),
    )


def _window(contestant: Contestant, pace: Pace) -> Callable[[], Sequence[float]]:
    return lambda: contestant.child.window(contestant.shape, contestant.dtype, pace).ms


def _measurement(
    contestant: Contestant, timed: Timed, peak_mib: float, bare: Timed | None
) -> Measurement:
    runs = sorted(timed.runs)
    opened = contestant.child.opened
    return Measurement(
        case=contestant.case,
        runner=opened.runner,
        p50_ms=_quantile(runs, 0.5),
        p90_ms=_quantile(runs, 0.9),
        p99_ms=_quantile(runs, 0.99),
        images_per_s=contestant.case.batch * len(runs) / sum(runs) * 1000,
        load_ms=opened.load_ms,
        peak_mib=peak_mib,
        runs=len(runs),
        windows_ms=tuple(timed.medians),
        settled=timed.settled,
        overhead=_overhead(timed, bare) if bare else None,
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that so many of the others do not exceed: one that was measured."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _overhead(ours: Timed, bare: Timed) -> Overhead:
    """Return the median of the pairs' ratios, and the order statistics that enclose it.

    The k-th smallest and largest of n enclose the median unless fewer than k fall on one side:
    a matter of tossing n coins, whatever the times are distributed like.
    """
    ratios = sorted(a / b for a, b in zip(ours.medians, bare.medians, strict=True))
    n = len(ratios)
    tails = [2 * sum(math.comb(n, i) for i in range(k)) / 2**n for k in range(n // 2 + 1)]
    k = max((k for k in range(1, n // 2 + 1) if tails[k] <= 0.05), default=1)
    return Overhead(
        ratio=statistics.median(ratios),
        low=ratios[k - 1],
        high=ratios[n - k],
        confidence=1 - tails[k] if n > 1 else 0.0,
        pairs=n,
    )


def _busy(machine: Machine) -> Iterator[str]:
    others = busy_cores()
    if others > _BUSY * machine.cores:
        yield f"others use {others:.1f} of {machine.cores} cores: these times are of a busy machine"
