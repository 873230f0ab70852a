"""What the machine's first NVIDIA GPU is, asked of its driver alone: no toolkit, no context."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

__all__ = ["Gpu", "find_gpu"]

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

# <cuda.h>: CUdevice_attribute
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_INTEGRATED = 18


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that CUDA can use."""

    name: str
    sm: str
    """Its compute capability: "sm86", "sm87"."""
    memory_mib: int
    """In all, used or not. An integrated GPU shares it with the processor."""
    cuda: str
    """The newest CUDA version its driver can run: "12.6"."""
    integrated: bool = False
    """Whether it shares its memory with the processor, as on a Jetson."""


def find_gpu() -> Gpu | None:
    """Return the first GPU that CUDA_VISIBLE_DEVICES leaves, or None where there is none."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    name = ctypes.create_string_buffer(256)
    memory = ctypes.c_size_t()
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major = _attribute(driver, _COMPUTE_CAPABILITY_MAJOR, device)
    minor = _attribute(driver, _COMPUTE_CAPABILITY_MINOR, device)
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    return Gpu(
        name=name.value.decode(errors="replace"),
        sm=f"sm{major}{minor}",
        memory_mib=memory.value >> 20,
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        integrated=bool(_attribute(driver, _INTEGRATED, device)),
    )


def _attribute(driver: ctypes.CDLL, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value
