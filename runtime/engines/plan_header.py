"""Reads who built a plan from its first bytes, before anything is handed to TensorRT.

    offset   "tensorrt"                        "tensorrt_rtx"
       0     b"ftrt"                           b"vtrt"
      16                                       size of the plan, uint64
      24     major, minor, patch: a byte each  the same
      32                                       GPUs as bits: SM 75, 80, 86, 89, 120, 121

All little-endian. The first layout is the one NVIDIA's own trtexec reads; the second was found by
building for one GPU at a time. Neither is documented, so a header is a hint that tells a person
early what is wrong, and never a proof: that is what hashes are for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from runtime.errors import EngineError

__all__ = ["PlanHeader", "read_plan_header"]

_MAGICS = {b"ftrt": "tensorrt", b"vtrt": "tensorrt_rtx"}
_SHORTEST = 36
_SM_BITS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """What a plan says of itself."""

    flavour: str
    version: str
    """major.minor.patch of the library that built it."""
    sms: tuple[str, ...]
    """The GPUs it was built for; empty where the header does not tell."""


def read_plan_header(plan: bytes) -> PlanHeader:
    """Return what the plan's first bytes say.

    Raises:
        EngineError: if they are not those of a TensorRT plan, or it was cut short.
    """
    flavour = _MAGICS.get(plan[:4])
    if flavour is None or len(plan) < _SHORTEST:
        raise EngineError(f"not a TensorRT engine: it is {len(plan)} bytes that begin otherwise")
    sms: tuple[str, ...] = ()
    if flavour == "tensorrt_rtx":
        (size,) = struct.unpack_from("<Q", plan, 16)
        if size > len(plan):
            raise EngineError(f"the engine was cut short: {len(plan):,} of {size:,} bytes")
        (bits,) = struct.unpack_from("<I", plan, 32)
        sms = tuple(sm for bit, sm in enumerate(_SM_BITS) if bits >> bit & 1)
    return PlanHeader(flavour=flavour, version=".".join(map(str, plan[24:27])), sms=sms)
