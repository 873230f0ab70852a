"""Tells whether ONNX Runtime multiplies int8 matrices on AMX tiles here.

Linux gives the tiles, 8 KiB of registers, to a process that asks for them, as ONNX Runtime does; a
sandbox may forbid it.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

from runtime.vnni import CPUINFO, processor_flags

__all__ = ["has_amx"]

_ARCH_PRCTL = 158
"""Number of the system call, on x86-64 only."""
_ARCH_REQ_XCOMP_PERM, _TILE_DATA = 0x1023, 18
"""https://docs.kernel.org/arch/x86/xstate.html"""


def has_amx(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the processor has AMX for int8, and this process may use it.

    Args:
        cpuinfo: what Linux tells of its processors.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return "amx_int8" in processor_flags(cpuinfo) and _may_use_tiles()


def _may_use_tiles() -> bool:
    system_call = ctypes.CDLL(None).syscall
    return bool(system_call(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _TILE_DATA) == 0)
