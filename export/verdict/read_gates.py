"""Reads gates.toml: what a person changes of the gates; the rest keeps its defaults.

not_shown = "fail"               # what too few images cannot show counts as failed

[int8]                           # or [float16]
usual_points = 0.3
warn_points = 0.5
fail_points = 1.0
least_agreement = 0.99

[accuracy]
least_top1 = 0.75                # of every variant; 0: no such gate

[precision]
least_share = 0.9                # of the multiply-accumulates, in the variant's precision

[speed]
least_speedup = 1.0              # of int8.cpu against fp32 on this machine
largest_p90_ms = 20.0            # of the quickest variant, batch 1; 0: no such gate

[release]                        # against the release before: python -m export diff
largest_drop_points = 0.5        # of top-1, of every variant
largest_slowdown = 1.1           # times
largest_growth = 1.1             # times, of a variant's file
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.verdict.gates import ACCURACY_GATES, FAIL, WARN, AccuracyGate
from runtime.errors import BundleError, OptionError
from runtime.read_file import read_file
from runtime.schema import decode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["AccuracyFloor", "Gates", "PrecisionGate", "ReleaseGate", "SpeedGate", "read_gates"]


@dataclass(frozen=True, kw_only=True)
class AccuracyFloor:
    """What every variant must reach, whatever fp32 does."""

    least_top1: float = 0.0
    """Share of right answers, 0 to 1."""

    def __post_init__(self) -> None:
        _check_share("least_top1", self.least_top1)


@dataclass(frozen=True, kw_only=True)
class PrecisionGate:
    """How much of a variant must really be in its precision."""

    least_share: float = 0.9
    """Of the convolutions' multiply-accumulates, 0 to 1: what falls back to float costs its
    speed. Some layers are meant to stay in float, so it is a warning, but for none at all."""

    def __post_init__(self) -> None:
        _check_share("least_share", self.least_share)


@dataclass(frozen=True, kw_only=True)
class SpeedGate:
    """How fast it must be on the machine that measures."""

    least_speedup: float = 1.0
    """Of int8.cpu against fp32; less is a warning: quantizing then gains nothing here."""
    largest_p90_ms: float = 0.0
    """Of the quickest variant, batch 1, in milliseconds; more fails. 0: no such gate."""

    def __post_init__(self) -> None:
        if not (0 <= self.least_speedup < 1e6 and 0 <= self.largest_p90_ms < 1e9):
            raise OptionError(
                f"given least_speedup {self.least_speedup} and largest_p90_ms "
                f"{self.largest_p90_ms}; expected numbers from 0 up"
            )


@dataclass(frozen=True, kw_only=True)
class ReleaseGate:
    """How much worse than the release before it a bundle may be."""

    largest_drop_points: float = 0.5
    """Of top-1, of every variant."""
    largest_slowdown: float = 1.1
    """Median latency now over that before, on one machine."""
    largest_growth: float = 1.1
    """Size of a variant's file now over that before."""

    def __post_init__(self) -> None:
        limits = (self.largest_drop_points, self.largest_slowdown, self.largest_growth)
        if not all(0 <= limit < 1e9 for limit in limits):
            raise OptionError(
                f"given release gates {', '.join(map(str, limits))}; expected numbers from 0 up"
            )


@dataclass(frozen=True, kw_only=True)
class Gates:
    """All gates of a verdict."""

    not_shown: str = WARN
    """Whether what cannot be shown counts as WARN or as FAIL."""
    float16: AccuracyGate = ACCURACY_GATES["float16"]
    int8: AccuracyGate = ACCURACY_GATES["int8"]
    accuracy: AccuracyFloor = field(default_factory=AccuracyFloor)
    precision: PrecisionGate = field(default_factory=PrecisionGate)
    speed: SpeedGate = field(default_factory=SpeedGate)
    release: ReleaseGate = field(default_factory=ReleaseGate)

    def __post_init__(self) -> None:
        if self.not_shown not in (WARN, FAIL):
            raise OptionError(f"not_shown: given '{self.not_shown}'; expected '{WARN}' or '{FAIL}'")


def read_gates(path: Path | None) -> Gates:
    """Return the gates with what the file changes of them; None changes nothing.

    Raises:
        OptionError: if the file cannot be read, is no TOML, or holds what is no gate.
    """
    if path is None:
        return Gates()
    try:
        given = tomllib.loads(read_file(path).decode("utf-8"))
    except OSError as error:
        raise OptionError(f"--gates: cannot read '{path}': {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise OptionError(f"--gates: '{path}' is no TOML file: {reason}") from None
    document = _merge(dataclasses.asdict(Gates()), given, str(path), "")
    try:
        return decode(Gates, document, f"--gates: {path}")
    except BundleError as error:
        raise OptionError(str(error)) from None


def _merge(known: dict[str, Any], given: dict[str, Any], path: str, table: str) -> dict[str, Any]:
    """Return the known values, replaced by those given."""
    for key, value in given.items():
        if key not in known:
            raise OptionError(
                f"--gates: '{path}' has the unknown key '{table}{key}'; expected one of "
                f"{', '.join(table + each for each in known)}"
            )
        if isinstance(known[key], dict) and isinstance(value, dict):
            known[key] = _merge(known[key], value, path, f"{key}.")
        else:
            known[key] = value
    return known


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise OptionError(f"{name}: given {value}; expected a share from 0 to 1")
