"""Arithmetic: what a training computes in on this CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from runtime.errors import OptionError

__all__ = ["PRECISIONS", "Arithmetic", "choose_arithmetic"]

PRECISIONS = ("auto", "float32", "bfloat16")

_BFLOAT16 = ("amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16", "sve_bf16")
"""The instructions, as torch.cpu names them, that multiply in bfloat16; without one of them it is
slower than float32."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What training steps compute in. Weights, gradients and the loss are float32 in any case."""

    bfloat16: bool
    """Whether convolutions and the head multiply in bfloat16, by torch.autocast."""
    instructions: str
    """Those found for bfloat16, empty if there are none."""

    def __str__(self) -> str:
        """Return it in a few words."""
        if not self.bfloat16:
            return "float32"
        return f"bfloat16 autocast ({self.instructions or 'emulated: this CPU has none'})"


def choose_arithmetic(precision: str) -> Arithmetic:
    """Return the arithmetic of one of PRECISIONS; "auto" is bfloat16 where the CPU has it.

    Raises:
        OptionError: if there is none of that name.
    """
    if precision not in PRECISIONS:
        raise OptionError(
            f"precision: given '{precision}'; expected one of {', '.join(PRECISIONS)}"
        )
    capabilities = torch.cpu.get_capabilities()
    found = next((name for name in _BFLOAT16 if capabilities.get(name)), "")
    bfloat16 = precision == "bfloat16" or (precision == "auto" and bool(found))
    return Arithmetic(bfloat16=bfloat16, instructions=found)
