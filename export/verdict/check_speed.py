"""Judges how fast the variants are on the machine that measured them."""

from __future__ import annotations

from collections.abc import Mapping

from export.verdict.finding import Finding
from export.verdict.gates import FAIL, PASS, TOLD, WARN
from export.verdict.read_gates import SpeedGate
from runtime.benchmark.document import Benchmark, Measurement

__all__ = ["check_speed", "smallest_batch"]

QUANTIZED_HERE = "int8.cpu"
"""The variant that is made to be fast on this kind of processor; fp16 and int8.trt are not, and
are told without being judged."""

_FEWEST_PAIRS = 6
"""Windows whose smallest and largest ratio enclose the median 19 times in 20, and more."""


def smallest_batch(benchmark: Benchmark) -> dict[str, Measurement]:
    """Return the measurements by variant or engine; the first of each at the smallest batch.

    That is a single image, but where the graphs take no other batch than their own.
    """
    batch = min((each.case.batch for each in benchmark.measurements), default=1)
    found: dict[str, Measurement] = {}
    for measurement in benchmark.measurements:
        if measurement.case.batch == batch:
            found.setdefault(measurement.case.name, measurement)
    return found


def check_speed(benchmark: Benchmark, gate: SpeedGate) -> tuple[Finding, ...]:
    """Return the speed of every variant beside fp32, and of the quickest beside its limit."""
    found = smallest_batch(benchmark)
    if not found:
        return ()
    findings = [
        _speedup(name, measurement, found["fp32"], gate)
        for name, measurement in found.items()
        if name != "fp32" and "fp32" in found
    ]
    if gate.largest_p90_ms:
        findings.append(_latency(found, gate))
    return tuple(findings)


def _speedup(name: str, measured: Measurement, fp32: Measurement, gate: SpeedGate) -> Finding:
    ratio = fp32.p50_ms / measured.p50_ms
    # In turns: the windows of a round saw the same machine.
    pairs = zip(fp32.windows_ms, measured.windows_ms, strict=False)
    ratios = [ours / theirs for ours, theirs in pairs]
    shown = len(ratios) >= _FEWEST_PAIRS
    judged = name == QUANTIZED_HERE
    unsettled = "" if measured.settled and fp32.settled else "; the machine was restless"
    return Finding(
        area="speed",
        subject=name,
        measured=f"{ratio:.2f} x fp32",
        gate=f"at least {gate.least_speedup:g}" if judged else "none",
        status=TOLD if not judged else WARN if ratio < gate.least_speedup else PASS,
        value=ratio,
        low=min(ratios) if shown else None,
        high=max(ratios) if shown else None,
        unit="x fp32",
        remark=f"{measured.p50_ms:.3g} ms, batch {measured.case.batch}{unsettled}",
    )


def _latency(found: Mapping[str, Measurement], gate: SpeedGate) -> Finding:
    name, quickest = min(found.items(), key=lambda item: item[1].p90_ms)
    return Finding(
        area="latency",
        subject=name,
        measured=f"{quickest.p90_ms:.3g} ms",
        gate=f"at most {gate.largest_p90_ms:g} ms",
        status=FAIL if quickest.p90_ms > gate.largest_p90_ms else PASS,
        value=quickest.p90_ms,
        unit="ms",
        remark=f"90 of 100 runs take no longer, batch {quickest.case.batch}",
    )
