"""Tells whether this processor multiplies int8 exactly, as the graph for ONNX Runtime may want it.

x86 before VNNI adds two products of uint8 and int8 in 16 bits, which saturate; ARM never did.
"""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["has_vnni"]

_FLAGS = ("avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni")
_X86 = ("x86_64", "amd64", "i686", "i386")


def has_vnni(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether integer kernels are exact here for weights of full range.

    Where nobody can tell, the answer is no: it costs a bit of the weights, and is right everywhere.
    """
    if platform.machine().lower() not in _X86:
        return True
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return any(flag in flags for flag in _FLAGS)
