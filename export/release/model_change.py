"""What changed of what the models compute: their weights, layer by layer, and their answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.read_graph import read_graph
from calibration.rounded_tensors import WEIGHTED
from export.release.difference import Difference
from export.verdict.check_parity import read_parity
from export.verdict.gates import FAIL, PASS, TOLD
from runtime.bundle import Bundle
from runtime.onnx_files.tensor import read_tensor

__all__ = ["diff_answers", "diff_parity", "diff_weights"]

_SHOWN = 5
"""Layers that are listed one by one."""


def diff_weights(before: Bundle, after: Bundle) -> Iterator[Difference]:
    """Yield how far the layers of the float32 graphs are from what they were.

    Raises:
        BundleError: if a model was altered.
    """
    files = [bundle.manifest.files[bundle.variant("fp32").file] for bundle in (before, after)]
    if files[0] == files[1]:
        return
    old, new = (_layers(read_graph(bundle)) for bundle in (before, after))
    yield from _rebuilt(old, new)
    both = [name for name in new if name in old and old[name].shape == new[name].shape]
    changes = {name: _distance(old[name], new[name]) for name in both}
    changed = [name for name, change in changes.items() if change]
    if not changed:
        return
    largest = sorted(changed, key=lambda name: -changes[name])[:_SHOWN]
    yield Difference(
        area="weights",
        subject=f"{len(changed)} of {len(both)} layers",
        before=before.manifest.weights.sha256[:12],
        after=after.manifest.weights.sha256[:12],
        status=TOLD,
        remark="most of all "
        + ", ".join(f"{name} by {changes[name]:.2g} of its norm" for name in largest),
        change=changes[largest[0]],
        unit="of the norm",
    )


_Layers = dict[str, NDArray[np.float64]]


def _rebuilt(before: _Layers, after: _Layers) -> Iterator[Difference]:
    """Yield layers that came, went, or have another shape: the first few, and how many."""
    for what, names in (
        ("gone", [n for n in before if n not in after]),
        ("new", [n for n in after if n not in before]),
        ("reshaped", [n for n in after if n in before and before[n].shape != after[n].shape]),
    ):
        if names:
            first = names[0]
            yield Difference(
                area="weights",
                subject=f"{len(names)} layers {what}" if len(names) > 1 else f"{first} {what}",
                before=_shape(before[first]) if first in before else "none",
                after=_shape(after[first]) if first in after else "none",
                status=TOLD,
                remark=", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else ""),
            )


def _layers(graph: ir.Model) -> _Layers:
    found = {}
    for node in graph.graph:
        value = node.inputs[1] if node.op_type in WEIGHTED else None
        tensor = ir.convenience.get_const_tensor(value) if value is not None else None
        if tensor is not None:
            found[str(node.name)] = tensor.numpy().astype(np.float64)
    return found


def _distance(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / max(norm, float(np.finfo(np.float32).tiny))


def _shape(weights: NDArray[np.float64]) -> str:
    return "x".join(map(str, weights.shape))


def diff_answers(before: Bundle, after: Bundle) -> Iterator[Difference]:
    """Yield how far PyTorch's recorded answers are from what they were, on the same inputs.

    Raises:
        BundleError: if a golden vector was altered.
    """
    known = {before.manifest.files[case.input_file]: case for case in before.manifest.golden}
    pairs = [
        (known[after.manifest.files[case.input_file]], case)
        for case in after.manifest.golden
        if after.manifest.files[case.input_file] in known
    ]
    if not pairs:
        return
    changed, moved, largest = 0, 0, 0.0
    for old, new in pairs:
        then = read_tensor(before.read(old.output_files(1)[0])).astype(np.float64)
        now = read_tensor(after.read(new.output_files(1)[0])).astype(np.float64)
        if then.shape != now.shape:
            yield Difference(
                area="answers", subject="shape", before=_shape(then), after=_shape(now), status=TOLD
            )
            return
        scale = max(float(np.abs(then).max()), float(np.finfo(np.float32).tiny))
        largest = max(largest, float(np.abs(now - then).max()) / scale)
        changed += int((then != now).any(axis=tuple(range(1, then.ndim))).sum())
        moved += int(
            (then.reshape(len(then), -1).argmax(1) != now.reshape(len(now), -1).argmax(1)).sum()
        )
    if changed:
        yield Difference(
            area="answers",
            subject=f"{changed} golden images",
            before="recorded",
            after=f"{largest:.2g} of the largest logit off",
            status=TOLD,
            remark=f"{moved} of them are given another best class",
            change=largest,
            unit="of the largest logit",
        )


def diff_parity(before: Bundle, after: Bundle) -> Iterator[Difference]:
    """Yield whether the newer model is as near to its PyTorch as the older was to its own.

    Raises:
        BundleError: if a parity file was altered.
    """
    old, new = (read_parity(bundle) for bundle in (before, after))
    if old is None or new is None or old == new:
        return
    ratios = [0.0 if r.worst.ratio is None else r.worst.ratio for r in (old, new)]
    if old.passed and new.passed and f"{ratios[0]:.1f}" == f"{ratios[1]:.1f}":
        return
    told = [
        f"x {ratio:.1f} noise" if report.passed else "failed"
        for report, ratio in zip((old, new), ratios, strict=True)
    ]
    yield Difference(
        area="parity",
        subject="fp32",
        before=told[0],
        after=told[1],
        status=PASS if new.passed else FAIL,
        gate=f"x {new.noise_multiple:g}",
        change=ratios[1],
        unit="times float32 noise",
    )
