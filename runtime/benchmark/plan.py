"""Plan: what a benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.benchmark.timing import PACE, Pace
from runtime.errors import OptionError
from runtime.providers import check_provider

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What shall be measured; each list is combined with every other.

    Raises:
        OptionError: if a number is out of range, or there is no such provider.
    """

    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    """If neither is named: every variant, and every engine that runs here."""
    providers: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = ()
    """0, and none, leave it to the backend."""
    batches: tuple[int, ...] = ()
    """1 and 8 if empty."""
    sizes: tuple[int, ...] = ()
    """In pixels; the bundle's own if empty."""
    against: bool = False
    """Whether a bare ONNX Runtime loop runs beside every variant on the CPU."""
    pace: Pace = PACE

    def __post_init__(self) -> None:
        if min(self.batches, default=1) < 1 or min(self.sizes, default=1) < 1:
            raise OptionError(
                f"given batches {self.batches}, sizes {self.sizes}; expected at least 1 each"
            )
        if min(self.threads, default=0) < 0:
            raise OptionError(f"given threads {self.threads}; expected 0 or more each")
        for provider in self.providers:
            check_provider(provider)
