"""Tells whether this processor multiplies int8 exactly, as a graph for ONNX Runtime may want it.

x86 before VNNI adds two products of uint8 and int8 in 16 bits, which saturate; ARM never did.
"""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["CPUINFO", "PLACED_FOR_VNNI", "has_vnni", "processor_flags", "saturation_note"]

PLACED_FOR_VNNI = "onnxruntime"
"""The placement, as in the manifest, of a graph whose weights are of full range."""
CPUINFO = Path("/proc/cpuinfo")

_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni"})
_X86 = ("x86_64", "amd64", "i686", "i386")


def has_vnni(cpuinfo: Path = CPUINFO, machine: str = platform.machine()) -> bool:
    """Return whether integer kernels are exact here for weights of full range.

    Where nobody can tell, the answer is no.

    Args:
        cpuinfo: what Linux tells of its processors.
        machine: the processor's family, as `platform.machine` names it.
    """
    if machine.lower() not in _X86:
        return True
    return not _FLAGS.isdisjoint(processor_flags(cpuinfo))


def processor_flags(cpuinfo: Path) -> list[str]:
    """Return what Linux says an x86 processor can do; nothing where it cannot be read."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as file:
            # The first processor's: a server may list hundreds.
            return next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        return []


def saturation_note(variant: str, cpuinfo: Path = CPUINFO) -> str:
    """Return what a person must be told if this processor may sum a variant wrong, or "".

    Args:
        variant: the name of one whose weights are of full range, run in integers.
        cpuinfo: as `has_vnni` takes it.
    """
    if has_vnni(cpuinfo):
        return ""
    return (
        f"variant '{variant}' is laid out for VNNI, and this processor tells of none: sums of int8 "
        "products may saturate, and results differ. Check it with `python -m runtime verify`; "
        "int8.cpu exported on a machine without VNNI is exact here, and fp32 is anywhere"
    )
