"""Tuning: what ran best on a machine, kept in the bundle as tuning.json and listed in its manifest.

It is used on a machine like the one it was measured on, and nowhere else; both are said.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.benchmark.machine import Machine, describe_machine, differences
from runtime.bundle import TUNING_FILE, Bundle
from runtime.errors import BundleError
from runtime.schema import from_json
from runtime.terminal import Screen

__all__ = ["Tuning", "read_tuning", "take_tuning"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The best way to run a bundle on a machine."""

    schema_version: int = SCHEMA_VERSION
    goal: str
    """"latency" or "throughput"."""
    variant: str
    """Empty if it is an engine."""
    engine: str
    """Empty if it is a variant."""
    provider: str
    threads: int
    """0 leaves it to the backend."""
    batch: int
    p50_ms: float
    images_per_s: float
    top1: float
    """Of the variant, 0 to 1; 0 if it was not evaluated."""
    floor: float
    """The least top-1 that was accepted; 0 if nothing was evaluated, when only fp32 is."""
    sha256: str
    """Of the model's file."""
    machine: Machine

    @property
    def name(self) -> str:
        """Of the variant or the engine."""
        return self.engine or self.variant

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        place = "" if self.provider == "cpu" else f" on {self.provider}"
        return f"{self.name}{place}, batch {self.batch}{threads}"


def read_tuning(bundle: Bundle) -> tuple[Tuning | None, str]:
    """Return the bundle's tuning if it is of this machine, and what to tell the person of it.

    Raises:
        BundleError: if the file was altered, or is of another version.
    """
    if TUNING_FILE not in bundle.manifest.files:
        return None, ""
    tuning = from_json(Tuning, bundle.read(TUNING_FILE), TUNING_FILE)
    if tuning.schema_version != SCHEMA_VERSION:
        raise BundleError(f"{TUNING_FILE}: of another release; tune again: {_again(bundle)}")
    here = describe_machine(with_gpu=bool(tuning.engine) or tuning.provider != "cpu")
    unlike = differences(here, tuning.machine)
    if unlike:
        return None, (
            f"its {TUNING_FILE} is of another machine and is not used ({'; '.join(unlike)}); "
            f"tune it here: {_again(bundle)} --tune {tuning.goal}"
        )
    manifest = bundle.manifest
    file = manifest.model_files.get(tuning.name)
    if file is None or manifest.files[file].sha256 != tuning.sha256:
        return None, (
            f"its {TUNING_FILE} is of another '{tuning.name}' and is not used; "
            f"tune it again: {_again(bundle)} --tune {tuning.goal}"
        )
    return tuning, f"tuned for {tuning.goal} on this machine: {tuning}"


def take_tuning(bundle: Bundle, screen: Screen) -> Tuning | None:
    """Return the bundle's tuning if it is of this machine; say that it is used, or why not.

    Raises:
        BundleError: as read_tuning.
    """
    tuning, remark = read_tuning(bundle)
    if tuning:
        screen.note(remark)
    elif remark:
        screen.warn(remark)
    return tuning


def _again(bundle: Bundle) -> str:
    return f"python -m runtime bench {bundle.folder}"
