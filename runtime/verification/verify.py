"""Verifies a bundle: that it is what its manifest promises, and computes what PyTorch computed.

    every file has the recorded size and SHA-256, and no file is there that is not recorded
    every variant takes and gives what the manifest says, and carries its preprocessing and labels
    every engine is the one described, built from the variant it is said to be of
    every golden input, of which there is one at least, run through every variant, yields PyTorch's
    logits within the tolerance

With engines named, the last is asked of them instead: on the device, where nothing else may be
installed. Golden inputs outside an engine's profiles are skipped, which is said; if none is left,
nothing was proven, and that is a failure.

What cannot be trusted is not used: a variant whose file differs is not run. A bundle without a
sound manifest promises nothing and cannot be verified; Bundle.load raises then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from runtime.bundle import Bundle
from runtime.engines.open_engine import find_engine, open_engine, read_bundled_engine, read_info
from runtime.errors import BundleError, EngineError
from runtime.image_spec import CHANNEL_AXES
from runtime.manifest import Engine
from runtime.onnx_files.metadata_props import metadata_props
from runtime.onnx_files.read_onnx import read_onnx
from runtime.open_runner import open_runner
from runtime.providers import check_provider
from runtime.variant import TensorInfo, Variant
from runtime.verification.check import Check, VerifyReport
from runtime.verification.check_golden import Candidate, check_golden

if TYPE_CHECKING:
    from runtime.tensorrt_runner import TensorRtRunner

__all__ = ["verify"]


def verify(
    bundle: Bundle,
    provider: str = "cpu",
    engines: Sequence[str] = (),
    open_one: Callable[[Bundle, str], TensorRtRunner] = open_engine,
) -> VerifyReport:
    """Return what became of every promise of the bundle's manifest.

    Args:
        bundle: the bundle.
        provider: a name of `runtime.providers.PROVIDERS`; it must be able to run every node.
        engines: names of engines to run instead of the variants.
        open_one: opens an engine by its name.

    Raises:
        OptionError: if there is no such provider, or the bundle has no such engine.
        BackendError: if the backend cannot run a model as asked; that is no fault of the bundle.
        BundleError: if a model is what was published and yet nothing that can be run.
    """
    check_provider(provider)
    chosen = {name: find_engine(bundle, name) for name in engines}
    runners, notes = [], list[str]()
    checks = [_check_file(bundle, path) for path in bundle.manifest.files]
    checks.append(Check.of("unlisted files", ", ".join(bundle.unlisted()) or "none", "none"))
    if not bundle.manifest.golden:
        checks.append(Check.of("golden inputs", "none; export the model again", "one or more"))
    sound = {check.name for check in checks if check.passed}
    for name, variant in bundle.manifest.variants.items():
        if variant.file not in sound:
            continue
        checks += _check_contract(bundle, name, variant)
        if not chosen:
            runner = open_runner(bundle, name, provider)
            runners.append(f"{name} in {runner.name}")
            notes += runner.notes
            checks += check_golden(bundle, Candidate(name, variant, runner), sound)
    for name, engine in bundle.manifest.engines.items():
        if not sound >= {engine.file, engine.info_file, bundle.variant(engine.variant).file}:
            continue
        described = _check_engine(bundle, name, engine)
        checks.append(described)
        if name in chosen and described.passed:
            with open_one(bundle, name) as opened:
                runners.append(f"{name} in {opened.name}")
                checks += _run_engine(bundle, _as_candidate(bundle, name, opened), sound)
    return VerifyReport(runners=tuple(runners), checks=tuple(checks), notes=tuple(notes))


def _as_candidate(bundle: Bundle, name: str, runner: TensorRtRunner) -> Candidate:
    engine = bundle.manifest.engines[name]
    variant = bundle.manifest.variants[engine.variant]
    tf32 = read_info(bundle, engine).options.tf32
    return Candidate(name, variant, runner, runner.accepts, tf32)


def _check_file(bundle: Bundle, path: str) -> Check:
    expected = bundle.manifest.files[path]
    try:
        found = bundle.inspect(path)
    except BundleError as error:
        return Check.of(path, str(error), str(expected))
    # Not by what is shown, which is the beginning of the hash: another file can share that.
    return Check(name=path, given=str(found), expected=str(expected), passed=found == expected)


def _check_contract(bundle: Bundle, name: str, variant: Variant) -> Iterator[Check]:
    model, manifest = read_onnx(bundle.read(variant.file)), bundle.manifest
    yield Check.of(f"{name} input", " and ".join(map(str, model.inputs)), str(variant.input))
    given, promised = (" and ".join(map(str, each)) for each in (model.outputs, variant.outputs))
    yield Check.of(f"{name} output", given, promised)
    yield Check.of(f"{name} opset", str(model.opset), str(variant.opset))
    axis = CHANNEL_AXES[manifest.pixels or "NCHW"]
    yield Check.of(f"{name} channels", _dim(variant.input, axis), str(manifest.image.channel_count))
    if not variant.more_outputs:  # maps have channels, not classes
        yield Check.of(f"{name} classes", _dim(variant.output, 1), str(manifest.model.classes))
    told = metadata_props(manifest.image, manifest.labels, manifest.pixels)
    for key, expected in told.items():
        yield Check.of(f"{name} {key}", model.metadata.get(key, "nothing"), expected)


def _check_engine(bundle: Bundle, name: str, engine: Engine) -> Check:
    expected = f"built from {engine.variant}, as described"
    try:
        read_bundled_engine(bundle, engine)
    except (BundleError, EngineError) as error:
        return Check.of(f"{name} description", str(error), expected)
    return Check.of(f"{name} description", expected, expected)


def _run_engine(bundle: Bundle, candidate: Candidate, sound: set[str]) -> Iterator[Check]:
    proven = False
    for check in check_golden(bundle, candidate, sound):
        proven = proven or not check.skipped
        yield check
    found = "one or more" if proven else "none; build it with a --profile for one"
    yield Check.of(f"{candidate.name} golden inputs it takes", found, "one or more")


def _dim(tensor: TensorInfo, index: int) -> str:
    return tensor.shape[index] if index < len(tensor.shape) else "nothing"
