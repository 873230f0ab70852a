"""Does what `bench` is asked for: measures, compares with an older benchmark, tunes the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.benchmark.bench import bench
from runtime.benchmark.compare import Compared, check_alike, compare
from runtime.benchmark.document import Benchmark, read_benchmark
from runtime.benchmark.machine import describe_machine
from runtime.benchmark.plan import Plan
from runtime.benchmark.tune import GOALS, find_floor, tune, widen
from runtime.benchmark.tuning import Tuning
from runtime.bundle import TUNING_FILE, Bundle
from runtime.check_names import check_names
from runtime.errors import OptionError
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.publishing.replace_file import check_replaceable, replace_file
from runtime.results_file import results_path
from runtime.schema import to_json
from runtime.terminal import Screen

__all__ = ["Request", "run_benchmark"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked of a benchmark.

    Raises:
        OptionError: if the parts do not fit each other.
    """

    plan: Plan
    """What to measure; tuning fills in what it leaves open."""
    goal: str = ""
    """What to tune for, of GOALS; "" tunes nothing."""
    accuracy_floor: float = -1.0
    """The least top-1 of what may be tuned to; -1 is 0.3 points below fp32's."""
    compare: Path | None = None
    """An older benchmark."""
    output: Path | None = None
    """Where the results go; None is beside the bundle."""

    def __post_init__(self) -> None:
        if self.goal and self.goal not in GOALS:
            raise OptionError(f"--tune: given '{self.goal}'; expected {' or '.join(GOALS)}")
        if self.accuracy_floor != -1 and not self.goal:
            raise OptionError("--accuracy-floor goes with --tune latency or --tune throughput")
        if self.accuracy_floor != -1 and not self.accuracy_floor >= 0:
            raise OptionError(
                f"--accuracy-floor: given {self.accuracy_floor:g}; expected a share of 0 to 1"
            )


def run_benchmark(
    bundle: Bundle, request: Request, screen: Screen
) -> tuple[Benchmark, list[Compared], Tuning | None]:
    """Measure, write the results beside the bundle, and compare or tune if asked to.

    Raises:
        OptionError: if something asked for cannot work.
        BundleError: if a file cannot be read or written.
        BackendError: if a model cannot run as asked.
    """
    check_names(bundle, request.plan.variants, request.plan.engines)
    output = request.output or results_path(bundle.folder, "bench")
    check_replaceable(output)
    machine = describe_machine()
    before = read_benchmark(request.compare) if request.compare else None
    if before:
        check_alike(machine, before.machine)
    plan, floor = request.plan, None
    if request.goal:
        floor = find_floor(
            bundle, results_path(bundle.folder, "evaluation"), request.accuracy_floor
        )
        screen.note(f"tuning for {request.goal} among {floor.reason}")
        plan = widen(plan, request.goal, floor, machine)
    found = bench(bundle, plan, machine, screen)
    replace_file(output, to_json(found))
    screen.note(f"results: {output}")
    tuning = None
    if floor:
        tuning = tune(found, request.goal, floor)
        add_to_bundle(bundle.folder, {TUNING_FILE: to_json(tuning)}, {})
        screen.note(
            f"tuned for {request.goal}: {tuning}; classify and evaluate take it from here on"
        )
    return found, compare(before, found) if before else [], tuning
