"""Cause: why a variant may fail its gate, and what became of it without."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from export.verdict.gates import FAIL
from runtime.judgement import Judgement

__all__ = ["HALF_DB", "Cause", "Diagnosis", "name_causes", "takes_half_away"]

HALF_DB = 3.0
"""Of noise. What takes less of it away explains little; and what leaves twice as much of it as
another cause explains less than that: ranges that are far too wide help a little, too, against any
that are too narrow."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A usual cause."""

    name: str
    tried: str
    """What was done otherwise."""
    judgement: Judgement | None
    """Of the variant without it; None if there is no such variant."""
    cure: str
    evidence: str = ""
    """What else shows it."""
    as_good: tuple[str, ...] = ()
    """Other things that may be done instead, as far as the images tell."""
    explains: bool = False
    """The variant fails because of it."""
    shown: bool = False
    """By other evidence it is amiss, whether or not the variant fails because of it."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was tried on a variant that fails."""

    as_it_is: Judgement
    """Of the images that everything was tried on, beside float32."""
    causes: tuple[Cause, ...]
    """The first of those that explain the failure is the one to name."""


def name_causes(as_it_is: Judgement, causes: Sequence[Cause]) -> Diagnosis:
    """Return the diagnosis: which causes explain the failure.

    That is what keeps its gate with them mended, with half of the noise gone at least, and no
    more than twice the noise of the best. Of what is amiss anyway the gate alone is asked, and
    the best.

    Args:
        as_it_is: the variant that fails.
        causes: all that were tried, the one that says most first.
    """
    reached = [cause.judgement.sqnr_db for cause in causes if cause.judgement is not None]
    near_best = max(reached, default=0.0) - HALF_DB
    told = []
    for cause in causes:
        judgement = cause.judgement
        explains = cause.shown
        if judgement is not None:
            mends = judgement.status != FAIL and judgement.sqnr_db >= near_best
            explains = mends and (cause.shown or takes_half_away(judgement, as_it_is))
        told.append(dataclasses.replace(cause, explains=explains))
    return Diagnosis(as_it_is=as_it_is, causes=tuple(told))


def takes_half_away(judgement: Judgement, as_it_is: Judgement) -> bool:
    """Return whether a variant has half of another one's noise at most."""
    return judgement.sqnr_db >= as_it_is.sqnr_db + HALF_DB
