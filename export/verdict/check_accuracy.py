"""Judges what the variants lose on labelled images."""

from __future__ import annotations

from collections.abc import Iterator

from export.verdict.finding import Finding
from export.verdict.gates import FAIL, NOT_SHOWN, PASS, TOLD, WARN, AccuracyGate, drop_interval
from export.verdict.read_gates import Gates
from runtime.evaluation.document import Comparison, Evaluation
from runtime.manifest import Manifest
from runtime.share import Share

__all__ = ["check_accuracy", "percent"]


def check_accuracy(evaluation: Evaluation, manifest: Manifest, gates: Gates) -> tuple[Finding, ...]:
    """Return what each variant reaches, and what it loses against fp32."""
    findings = [_data(evaluation), *_floors(evaluation, gates)]
    for name, comparison in evaluation.comparisons.items():
        precision = manifest.variant_of(name).precision
        if precision == "float32":
            findings.append(_identical(name, comparison))
            continue
        gate = gates.float16 if precision == "float16" else gates.int8
        findings += [_drop(name, comparison, gate), _agreement(name, comparison, gate)]
    return tuple(findings)


def _data(evaluation: Evaluation) -> Finding:
    lost = len(evaluation.failures)
    first = f"{evaluation.failures[0].path}: {evaluation.failures[0].reason}" if lost else ""
    return Finding(
        area="images read",
        subject="data",
        measured=f"{evaluation.images} of {evaluation.data.listed}",
        gate="all",
        status=WARN if lost else PASS,
        value=float(evaluation.images),
        unit="images",
        remark=first,
    )


def _floors(evaluation: Evaluation, gates: Gates) -> Iterator[Finding]:
    floor = gates.accuracy.least_top1
    for name, result in evaluation.variants.items():
        top1 = result.top1
        status = FAIL if top1.value < floor else NOT_SHOWN if top1.low < floor else PASS
        yield Finding(
            area="accuracy",
            subject=name,
            measured=percent(top1),
            gate=f"at least {100 * floor:g} %" if floor else "none",
            status=status if floor else TOLD,
            value=100 * top1.value,
            low=100 * top1.low,
            high=100 * top1.high,
            unit="%",
            remark=f"{result.not_finite} answers hold NaN or infinity" if result.not_finite else "",
        )


def _identical(name: str, comparison: Comparison) -> Finding:
    agreement = comparison.agreement
    differing = agreement.of - agreement.count
    return Finding(
        area="agreement",
        subject=name,
        measured=f"{differing} of {agreement.of}",
        gate="0",
        status=FAIL if differing else PASS,
        value=100 * agreement.value,
        low=100 * agreement.low,
        high=100 * agreement.high,
        unit="%",
    )


def _drop(name: str, comparison: Comparison, gate: AccuracyGate) -> Finding:
    changed = (comparison.became_wrong, comparison.became_right)
    images = comparison.agreement.of
    drop, low, high = drop_interval(images, *changed)
    status = gate.judge_drop(images, *changed)
    told = f"{changed[0]} became wrong, {changed[1]} right"
    if status == NOT_SHOWN:
        told += f"; {images} images cannot exclude that {high:.2f} points are lost"
    return Finding(
        area="accuracy lost",
        subject=name,
        measured=f"{drop:.2f} points",
        gate=_limits(gate),
        status=status,
        value=drop,
        low=low,
        high=high,
        unit="points",
        remark=told,
    )


def _limits(gate: AccuracyGate) -> str:
    """Return the points that are usual, that are warned of, and that fail."""
    if gate.usual_points == gate.fail_points:
        return f"at most {gate.fail_points:g}"
    return f"{gate.usual_points:g} / {gate.warn_points:g} / {gate.fail_points:g}"


def _agreement(name: str, comparison: Comparison, gate: AccuracyGate) -> Finding:
    agreement = comparison.agreement
    return Finding(
        area="agreement",
        subject=name,
        measured=percent(agreement),
        gate=f"at least {100 * gate.least_agreement:g} %",
        status=gate.judge_agreement(agreement.of, agreement.count),
        value=100 * agreement.value,
        low=100 * agreement.low,
        high=100 * agreement.high,
        unit="%",
        remark=f"{agreement.of - agreement.count} images get another class than from fp32",
    )


def percent(share: Share) -> str:
    """Return a share in percent; two digits where there are images enough for them."""
    return f"{100 * share.value:.{2 if share.of >= 1000 else 1}f} %"
