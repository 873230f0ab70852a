"""An engine on a disk: the raw plan, which NVIDIA's own tools read too, and its description.

    fp16.plan         what TensorRT serialized, and nothing else
    fp16.plan.json    EngineInfo: what it is, where it runs, where it came from

An engine is a program: to open one from a stranger is to run the stranger's code. So a plan is read
once, compared with its description, whose own hash the bundle's manifest holds, and only then are
the very bytes that were compared handed to TensorRT.
"""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

from runtime.cuda.gpu import Gpu, find_gpu
from runtime.engines.options import EngineOptions
from runtime.engines.plan_header import read_plan_header
from runtime.errors import EngineError
from runtime.manifest import MANIFEST_FILE, FileInfo

__all__ = [
    "EngineInfo",
    "check_plan",
    "check_runs_here",
    "describe_engine",
    "rebuild_command",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine is, where it runs, and where it came from."""

    schema_version: int
    flavour: str
    """The library that built it, and must run it: "tensorrt" or "tensorrt_rtx"."""
    version: str
    """Of that library."""
    target_sms: tuple[str, ...]
    """The compute capabilities it was built for: "sm87"."""
    plan: FileInfo
    onnx_sha256: str
    """Of the ONNX file it was built from."""
    options: EngineOptions
    precision: dict[str, float]
    """Shares of the convolutions' multiply-accumulates, 0 to 1, by precision."""
    inspected: bool
    """Whether TensorRT's inspector showed these shares; else the graph promised them."""
    seconds: float
    """How long the build took."""
    environment: dict[str, str]
    """What built it: GPU, its driver's CUDA, operating system, processor, Python."""


def describe_engine(
    plan: bytes,
    onnx: bytes,
    options: EngineOptions,
    version: str,
    precision: dict[str, float],
    seconds: float,
) -> EngineInfo:
    """Return the description of an engine that was just built on this machine.

    Args:
        plan: the serialized engine.
        onnx: the ONNX file it was built from.
        options: how it was built.
        version: of the library that built it.
        precision: shares of the convolutions' multiply-accumulates, as the graph promises them.
        seconds: how long the build took.
    """
    gpu = find_gpu()
    environment = {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if gpu is not None:
        environment |= {"gpu": gpu.name, "sm": gpu.sm, "cuda": gpu.cuda}
    this = (gpu.sm,) if gpu is not None else ()
    return EngineInfo(
        schema_version=SCHEMA_VERSION,
        flavour=options.flavour,
        version=version,
        target_sms=read_plan_header(plan).sms or this,
        plan=FileInfo.of(plan),
        onnx_sha256=FileInfo.of(onnx).sha256,
        options=options,
        precision=precision,
        inspected=False,
        seconds=seconds,
        environment=environment,
    )


def check_plan(plan: bytes, info: EngineInfo, path: Path) -> None:
    """Return if the plan is the one described.

    Raises:
        EngineError: naming the field in which they differ.
    """
    header = read_plan_header(plan)
    described = ".".join(info.version.split(".")[:3])
    fields: dict[str, tuple[object, object]] = {
        "flavour": (header.flavour, info.flavour),
        "version": (header.version, described),
        "content": (FileInfo.of(plan), info.plan),
    }
    _compare(path, "its description says", fields)


def check_runs_here(info: EngineInfo, version: str, gpu: Gpu, path: Path) -> None:
    """Return if an engine can run in that version of its library on that GPU.

    Raises:
        EngineError: naming the field in which they differ.
    """
    fields: dict[str, tuple[object, object]] = {}
    if not info.options.version_compatible:
        fields["version"] = (info.version, version)
    if info.options.hardware_compatibility == "none" and gpu.sm not in info.target_sms:
        fields["GPU"] = (", ".join(info.target_sms), gpu.sm)
    _compare(path, "here it is", fields)


def rebuild_command(path: Path) -> str:
    """Return the command that builds the engine of that path again."""
    bundle = next((p for p in path.parents if (p / MANIFEST_FILE).exists()), None)
    return f"python -m runtime build {shlex.quote(str(bundle)) if bundle else 'BUNDLE'}"


def _compare(path: Path, other: str, fields: dict[str, tuple[object, object]]) -> None:
    for field, (given, expected) in fields.items():
        if given != expected:
            raise EngineError(
                f"'{path}': the engine's {field} is {given}; {other} {expected}. Build it again: "
                f"{rebuild_command(path)}"
            )
