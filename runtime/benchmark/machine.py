"""What a machine is, as far as it decides how fast a model runs: unlike machines do not compare."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from runtime.cuda.gpu import find_gpu

__all__ = ["Machine", "describe_machine", "differences"]

# What ONNX Runtime's kernels choose by, on x86 and on ARM.
_ISA = (
    "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "sve", "sve2", "i8mm", "svei8mm", "bf16", "svebf16",
)  # fmt: skip
_FREQUENCY = "/sys/devices/system/cpu/cpu0/cpufreq"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware, and what limits it; an empty text or 0 is what cannot be found out."""

    cpu: str
    isa: tuple[str, ...]
    """The instruction sets that matter here, in the kernel's words: "avx512_vnni"."""
    cores: int
    """That this process may run on."""
    quota: float
    """Processors' worth of time that a container is given; 0 where there is no limit."""
    memory_gib: int
    system: str
    """"Linux x86_64"."""
    governor: str
    """Of the clock: "performance", "powersave"."""
    clock_mhz: tuple[int, int]
    """Lowest and highest that the governor may choose."""
    gpu: str = ""
    """Name, compute capability and memory; empty where there is none, or none was asked for."""


def describe_machine(*, with_gpu: bool = True) -> Machine:
    """Return what this machine is.

    Args:
        with_gpu: ask the driver as well, which takes its time to start.
    """
    cpu, flags = _read_cpu()
    gpu = find_gpu() if with_gpu else None
    clock = tuple(_number(f"{_FREQUENCY}/cpuinfo_{end}_freq") // 1000 for end in ("min", "max"))
    return Machine(
        cpu=cpu,
        isa=tuple(name for name in _ISA if name in flags),
        cores=_cores(),
        quota=_quota(),
        memory_gib=_memory_gib(),
        system=f"{platform.system()} {platform.machine()}",
        governor=_text(f"{_FREQUENCY}/scaling_governor"),
        clock_mhz=(clock[0], clock[1]),
        gpu=f"{gpu.name}, {gpu.sm}, {gpu.memory_mib} MiB" if gpu else "",
    )


def differences(given: Machine, expected: Machine) -> tuple[str, ...]:
    """Return in what two machines differ, a phrase each: "cores: 4, not 2"."""
    ours, theirs = dataclasses.asdict(given), dataclasses.asdict(expected)
    return tuple(
        f"{name}: {_say(ours[name])}, not {_say(theirs[name])}"
        for name in ours
        if ours[name] != theirs[name]
    )


def _say(value: object) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return shown or "none"


def _read_cpu() -> tuple[str, frozenset[str]]:
    """Return the model's name and its flags, of the first processor alone."""
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if not value:
                break
            fields[name.strip()] = value.strip()
    flags = frozenset((fields.get("flags") or fields.get("Features") or "").split())
    # Virtual machines may be told no more than "Intel Xeon Processor": the numbers tell it apart.
    numbers = [fields.get(key, "") for key in ("cpu family", "model", "stepping", "CPU part")]
    name = fields.get("model name") or platform.processor()
    return " ".join([name, *filter(None, ["/".join(filter(None, numbers))])]), flags


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> float:
    limit, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else 0.0


def _memory_gib() -> int:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return 0


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text("utf-8").strip()
    return ""


def _number(path: str) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0
