"""Checks of a bundle: promises of its manifest, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Check", "VerifyReport"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise of the manifest, and what was found instead of it or as it says."""

    name: str
    given: str
    expected: str
    passed: bool
    skipped: bool = False
    """Whether it was not checked, for the reason given; it then counts as passed."""

    @staticmethod
    def of(name: str, given: str, expected: str) -> Check:
        """Return whether what was found is, letter by letter, what was promised."""
        return Check(name=name, given=given, expected=expected, passed=given == expected)


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Every promise that was checked, in order."""

    runners: tuple[str, ...]
    """What ran each variant: "fp32 in onnxruntime cpu"."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    """What the person must be told of what ran."""

    @property
    def passed(self) -> bool:
        """Whether all is as promised."""
        return all(check.passed for check in self.checks)

    @property
    def first_difference(self) -> Check | None:
        """The first promise that is not kept."""
        return next((check for check in self.checks if not check.passed), None)
