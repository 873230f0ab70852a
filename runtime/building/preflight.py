"""Looks, before an engine is built, at what there is to build it with, and what stands against it.

TensorRT itself finds out late: an engine for a DLA after minutes, too little memory by being killed
by the system, which on a small device takes the desktop along.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

from runtime.building.build import check_machine
from runtime.building.memory import EngineMemory, estimate_memory
from runtime.building.orders import EngineOrder
from runtime.cuda.gpu import Gpu, find_gpu
from runtime.engines.options import SMALLEST_WORKSPACE_MIB, TURING
from runtime.engines.tensorrt_module import EXTRAS, load_tensorrt
from runtime.errors import BackendError

__all__ = ["Machine", "Preflight", "look_around", "preflight"]

_DLA_GPUS = ("sm72", "sm87")
"""Xavier and Orin: the only ones that sit beside a DLA. (Thor has none.)"""
_DLA_GAP = ((10, 8), (11, 4, 1))
"""TensorRT 10.7 was the last with DLAs, until 11.4.1 on AGX Orin."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is to build engines with."""

    name: str
    gpu: Gpu | None
    memory_mib: int | None
    """Free now, for a new process; None where it cannot be told."""
    swap_mib: int
    """Free now."""
    tensorrt: dict[str, str] = field(default_factory=dict)
    """The version of each flavour that is installed."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What was found out of one engine before it is built."""

    memory: EngineMemory
    obstacles: tuple[str, ...]
    """Why it cannot be built; empty if nothing is known to stand against it."""
    notes: tuple[str, ...]
    """What the person should know."""
    workspace_mib: int | None
    """The limit it is to be built with; None for TensorRT's own."""


def look_around() -> Machine:
    """Return this machine. Loads the libraries that are installed."""
    versions = {}
    for flavour in EXTRAS:
        if importlib.util.find_spec(flavour) is not None:
            try:
                versions[flavour] = load_tensorrt(flavour).version
            except BackendError:  # told by the build, in full
                continue
    memory = _read_meminfo()
    return Machine(
        name="this machine",
        gpu=find_gpu(),
        memory_mib=memory.get("MemAvailable"),
        swap_mib=memory.get("SwapFree", 0),
        tensorrt=versions,
    )


def preflight(order: EngineOrder, onnx_bytes: int, machine: Machine) -> Preflight:
    """Return what stands against an engine on a machine, and the workspace to build it with.

    Args:
        order: the engine.
        onnx_bytes: the size of its ONNX file.
        machine: where it is to be built.
    """
    memory = estimate_memory(onnx_bytes, order.options.profiles)
    obstacles = [*_machine(order, machine), *_precision(order), *_dla(order, machine)]
    notes: list[str] = []
    workspace = order.options.workspace_mib
    shared = machine.gpu is not None and machine.gpu.integrated
    needed = memory.to_build if shared else memory.to_build - memory.activations
    if machine.memory_mib is not None:
        room = machine.memory_mib + machine.swap_mib - needed
        if room < (workspace or SMALLEST_WORKSPACE_MIB if shared else 0):
            obstacles.append(
                f"it takes about {needed + (workspace or 0 if shared else 0):,} MiB to build, and "
                f"{machine.memory_mib:,} MiB and {machine.swap_mib:,} MiB of swap are free; close "
                "programs, add swap, or lower the largest batch or the workspace"
            )
        elif shared and workspace is None:
            workspace = _power_of_two(max(machine.memory_mib - needed, 0) // 2)
            notes.append(
                f"GPU and processor share their memory: the workspace is limited to {workspace} MiB"
            )
        if room >= 0 and machine.memory_mib < needed:
            notes.append("it will use swap, which is slow")
    return Preflight(
        memory=memory, obstacles=tuple(obstacles), notes=tuple(notes), workspace_mib=workspace
    )


def _machine(order: EngineOrder, machine: Machine) -> list[str]:
    flavour = order.options.flavour
    try:
        check_machine(order.options, machine.gpu)
        if flavour not in machine.tensorrt:
            load_tensorrt(flavour)
        elif order.options.target_sms:
            library = load_tensorrt(flavour)
            for target in order.options.target_sms:
                library.member(library.module.ComputeCapability, target)
    except BackendError as error:
        return [str(error)]
    return []


def _precision(order: EngineOrder) -> list[str]:
    if order.options.target_sms == (TURING,) and set(order.promise.macs) == {"float32"}:
        return [
            "TensorRT-RTX has no matrix product in float32 for sm75 (Turing), which the last layer "
            "is; build the float16 variant for it"
        ]
    return []


def _dla(order: EngineOrder, machine: Machine) -> list[str]:
    if order.options.dla_core is None:
        return []
    found = []
    if set(order.promise.macs) != {"float16"}:
        found.append(
            f"a DLA computes in float16 here; the variant '{order.engine.variant}' is "
            f"{' and '.join(order.promise.macs)}; choose the float16 variant"
        )
    if machine.gpu is not None and machine.gpu.sm not in _DLA_GPUS:
        found.append(f"the {machine.gpu.name} ({machine.gpu.sm}) has no DLA; leave --dla out")
    version = machine.tensorrt.get("tensorrt", "")
    first, after = _DLA_GAP
    if version and first <= tuple(int(n) for n in version.split(".")[:3] if n.isdigit()) < after:
        found.append(
            f"TensorRT {version} knows no DLA; 10.7 was the last one that did, before 11.4.1"
        )
    return found


def _power_of_two(mib: int) -> int:
    return max(1 << (mib.bit_length() - 1) if mib else 0, SMALLEST_WORKSPACE_MIB)


def _read_meminfo() -> dict[str, int]:
    """Return Linux's own account of its memory, in MiB; empty elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split()[:2] for line in lines)
    return {name.rstrip(":"): int(kib) >> 10 for name, kib in pairs}
