"""Tally: how many images were scored, and what was wrong with the others."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ErrorKind", "Tally", "count_errors", "merge"]


@dataclass(frozen=True, kw_only=True)
class ErrorKind:
    """Errors that differ in numbers only."""

    message: str
    """Of the first."""
    images: int
    """How many had it."""
    first: str
    """The path of the first."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of a number of images."""

    images: int
    errors: tuple[ErrorKind, ...]

    @property
    def failed(self) -> int:
        """How many images have an error instead of classes."""
        return sum(kind.images for kind in self.errors)


def count_errors(images: int, errors: Iterable[tuple[str, str]]) -> Tally:
    """Return the tally of images, given path and message of those that failed."""
    kinds = (ErrorKind(message=message, images=1, first=path) for path, message in errors)
    return Tally(images=images, errors=_join(kinds))


def merge(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all, the commonest error first."""
    listed = list(tallies)
    kinds = _join(kind for tally in listed for kind in tally.errors)
    return Tally(
        images=sum(tally.images for tally in listed),
        errors=tuple(sorted(kinds, key=lambda kind: -kind.images)),
    )


def _join(kinds: Iterable[ErrorKind]) -> tuple[ErrorKind, ...]:
    joined: dict[str, ErrorKind] = {}
    for kind in kinds:
        name = re.sub(r"\d+", "0", kind.message)  # sizes and positions make no other kind
        known = joined.get(name)
        joined[name] = (
            dataclasses.replace(known, images=known.images + kind.images) if known else kind
        )
    return tuple(joined.values())
