"""Refuses names of variants and engines that a bundle lacks, before anything slow begins."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.bundle import Bundle
from runtime.engines.open_engine import find_engine

__all__ = ["check_names"]


def check_names(bundle: Bundle, variants: Iterable[str], engines: Iterable[str]) -> None:
    """Return if the bundle has all of them.

    Raises:
        OptionError: if it lacks one; names those it has.
    """
    for name in variants:
        bundle.variant(name)
    for name in engines:
        find_engine(bundle, name)
