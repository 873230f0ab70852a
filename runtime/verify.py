"""Verifies a bundle: that it is what its manifest promises, and computes what PyTorch computed.

    every file has the recorded size and SHA-256, and no file is there that is not recorded
    every variant takes and gives what the manifest says, and carries its preprocessing and labels
    every golden input, run through every variant, yields PyTorch's logits within the tolerance

What cannot be trusted is not used: a variant whose file differs is not run. A bundle without a
sound manifest promises nothing and cannot be verified; Bundle.load raises then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runtime.bundle import Bundle
from runtime.errors import BackendError, BundleError
from runtime.manifest import GoldenCase, TensorInfo, Variant, metadata_props
from runtime.onnx_file import read_onnx
from runtime.open_runner import open_runner
from runtime.tensor_file import read_tensor

if TYPE_CHECKING:
    from runtime.onnx_runner import OnnxRunner

__all__ = ["Check", "VerifyReport", "verify"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise of the manifest, and what was found instead of it or as it says."""

    name: str
    given: str
    expected: str
    passed: bool


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Every promise that was checked, in order."""

    runners: tuple[str, ...]
    """What ran each variant: "fp32 in onnxruntime cpu"."""
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as promised."""
        return all(check.passed for check in self.checks)

    @property
    def first_difference(self) -> Check | None:
        """The first promise that is not kept."""
        return next((check for check in self.checks if not check.passed), None)


def verify(bundle: Bundle, provider: str = "cpu") -> VerifyReport:
    """Return what became of every promise of the bundle's manifest.

    Args:
        bundle: the bundle.
        provider: "cpu", "cuda" or "tensorrt"; it must be able to run every node.

    Raises:
        BackendError: if the backend cannot run a model as asked; that is no fault of the bundle.
        BundleError: if a model is what was published and yet nothing that can be run.
    """
    runners = []
    checks = [_check_file(bundle, path) for path in bundle.manifest.files]
    checks.append(_check("unlisted files", ", ".join(bundle.unlisted()) or "none", "none"))
    sound = {check.name for check in checks if check.passed}
    for name, variant in bundle.manifest.variants.items():
        if variant.file not in sound:
            continue
        checks += _check_contract(bundle, name, variant)
        runner = open_runner(bundle, name, provider)
        runners.append(f"{name} in {runner.name}")
        for case, tolerance in zip(bundle.manifest.golden, variant.golden_tolerances, strict=True):
            if sound >= {case.input_file, case.output_file}:
                checks.append(_check_golden(bundle, name, case, tolerance, runner))
    return VerifyReport(runners=tuple(runners), checks=tuple(checks))


def _check_file(bundle: Bundle, path: str) -> Check:
    expected = bundle.manifest.files[path]
    try:
        return _check(path, str(bundle.inspect(path)), str(expected))
    except BundleError as error:
        return _check(path, str(error), str(expected))


def _check_contract(bundle: Bundle, name: str, variant: Variant) -> Iterator[Check]:
    model, manifest = read_onnx(bundle.read(variant.file)), bundle.manifest
    yield _check(f"{name} input", " and ".join(map(str, model.inputs)), str(variant.input))
    yield _check(f"{name} output", " and ".join(map(str, model.outputs)), str(variant.output))
    yield _check(f"{name} opset", str(model.opset), str(variant.opset))
    yield _check(f"{name} channels", _dim(variant.input, 1), str(manifest.image.channel_count))
    yield _check(f"{name} classes", _dim(variant.output, 1), str(manifest.model.classes))
    for key, expected in metadata_props(manifest.image, manifest.labels).items():
        yield _check(f"{name} {key}", model.metadata.get(key, "nothing"), expected)


def _check_golden(
    bundle: Bundle, variant: str, case: GoldenCase, tolerance: float, runner: OnnxRunner
) -> Check:
    name = f"{variant} {case.folder}"
    try:
        images = read_tensor(bundle.read(case.input_file))
        expected = read_tensor(bundle.read(case.output_file))
        logits = runner.logits(images)
    except (BundleError, BackendError) as error:
        return Check(name=name, given=str(error), expected="logits", passed=False)
    if logits.shape != expected.shape:
        return _check(name, f"logits {list(logits.shape)}", f"logits {list(expected.shape)}")
    gap = np.abs(logits.astype(np.float64) - expected).max(initial=0.0)
    return Check(
        name=name,
        given=f"off by {gap:.2g} on {case.content}",
        expected=f"off by at most {tolerance:.2g}",
        passed=bool(gap <= tolerance),  # NaN is not
    )


def _dim(tensor: TensorInfo, index: int) -> str:
    return tensor.shape[index] if index < len(tensor.shape) else "nothing"


def _check(name: str, given: str, expected: str) -> Check:
    return Check(name=name, given=given, expected=expected, passed=given == expected)
