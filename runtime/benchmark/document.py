"""What a benchmark found: BUNDLE.bench.json, which lies beside the bundle.

Read it with `read_benchmark`. Times are milliseconds of one run of a whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runtime.benchmark.machine import Machine
from runtime.results_file import read_results

__all__ = [
    "SCHEMA_VERSION",
    "Benchmark",
    "Case",
    "Measurement",
    "Overhead",
    "read_benchmark",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """What was run, and how: no two measurements of a benchmark have the same."""

    name: str
    """Of a variant or an engine."""
    provider: str
    """A name of `runtime.providers.PROVIDERS`; of an engine "engine"."""
    threads: int
    """Asked for; 0 left it to the backend."""
    batch: int
    size: int
    """Height and width of the images, in pixels."""

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.name} on {self.provider}{threads}, batch {self.batch}, {self.size} px"


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """The runner's time over that of a bare ONNX Runtime loop, window by window in turn."""

    ratio: float
    """The median of the pairs of windows; 1.0 is no overhead."""
    low: float
    high: float
    """Between these lies the true median, with the confidence given."""
    confidence: float
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How fast a case runs."""

    case: Case
    runner: str
    """What ran it: "onnxruntime cpu"."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    """Of fewer than 100 runs: the slowest."""
    images_per_s: float
    load_ms: float
    """From the bundle on the disk, hashed, to a session that is ready; imports not counted."""
    peak_mib: float
    """Resident memory of a process that does nothing else, at this batch and size."""
    runs: int
    windows_ms: tuple[float, ...]
    """The median of each window, in order."""
    settled: bool
    """Whether the windows came to agree; if not, mistrust the numbers."""
    overhead: Overhead | None = None
    """Where a bare loop ran beside it."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """How fast a bundle runs on a machine."""

    schema_version: int
    bundle: str
    """Its folder, as an absolute path."""
    model: str
    files: dict[str, str]
    """SHA-256 of what each variant or engine ran from, by name."""
    machine: Machine
    protocol: str
    """How it was measured, for a person."""
    measurements: tuple[Measurement, ...]
    tools: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    """Engines that do not run here, and why."""
    warnings: tuple[str, ...] = ()


def read_benchmark(path: Path) -> Benchmark:
    """Return the benchmark in the file.

    Raises:
        BundleError: if there is none that this version can read.
    """
    return read_results(path, Benchmark, SCHEMA_VERSION, "bench BUNDLE")
