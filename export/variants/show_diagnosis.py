"""Shows why a variant fails its gate, in lines that fit a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from export.variants.cause import Cause, Diagnosis, takes_half_away
from export.verdict.gates import FAIL
from runtime.judgement import Judgement
from runtime.table import WIDTH, text_table

__all__ = ["explaining_lines", "summarize", "tried_lines"]

_HEADER = ("SQNR dB", "agreement %", "top-1 drop", "gate")
_AS_GOOD = 3
"""Other things to do that are named, at most."""


def summarize(diagnosis: Diagnosis) -> str:
    """Return what explains the failure and what to do, or what comes nearest, without lines."""
    explaining = _explaining(diagnosis)
    if not explaining:
        nearest = _nearest(diagnosis)
        near = f"; {nearest.name} comes nearest: {nearest.cure}" if nearest else ""
        return f"no usual cause alone explains it{near}"
    others = len(explaining[0].as_good) + len(explaining) - 1
    as_good = f", or {others} other{'s' * (others > 1)} as good" if others else ""
    return f"explained by {explaining[0].name}{as_good}: {explaining[0].cure}"


def tried_lines(name: str, judgement: Judgement, diagnosis: Diagnosis) -> Iterator[str]:
    """Yield what the gates say of a variant, and what was tried, in lines that fit a terminal."""
    yield f"{name} fails its gate:"
    for remark in judgement.remarks:
        yield from _wrapped(remark)
    rows = [_row("as it is", diagnosis.as_it_is)]
    rows += [_row(cause.tried, cause.judgement) for cause in diagnosis.causes]
    # They may be fewer than what the gate was told of.
    tried = f"tried on {diagnosis.as_it_is.agreement.of} images"
    yield from text_table((tried, *_HEADER), rows).splitlines()


def explaining_lines(diagnosis: Diagnosis) -> list[str]:
    """Return what explains the failure and what to do, and what is amiss besides."""
    explaining = _explaining(diagnosis)
    lines = list[str]()
    for cause in explaining[:1]:
        also = tuple(f"{each.name}: {each.tried}" for each in explaining[1:])
        lines += _cause(f"explained by {cause.name}", cause, also)
    for cause in diagnosis.causes:
        if cause.shown and not cause.explains:
            lines += _cause(f"not the reason, but amiss: {cause.name}", cause, ())
    return lines


def _cause(said: str, cause: Cause, also: tuple[str, ...]) -> list[str]:
    others = (*cause.as_good, *also)
    more = f"; and {len(others) - _AS_GOOD} more" if len(others) > _AS_GOOD else ""
    as_good = f"not to be told from: {'; '.join(others[:_AS_GOOD])}{more}" if others else ""
    lines = [as_good, cause.evidence, f"what to do: {cause.cure}"]
    return [*_wrapped(f"{said}: {cause.tried}", ""), *(w for line in lines for w in _wrapped(line))]


def _explaining(diagnosis: Diagnosis) -> list[Cause]:
    return [cause for cause in diagnosis.causes if cause.explains]


def _nearest(diagnosis: Diagnosis) -> Cause | None:
    """Return what takes most of the noise away of all that keeps the gate; or half of it at least.

    What keeps the gate goes first: it is a way out, even if it explains little.
    """
    tried = [
        (cause.judgement.status != FAIL, cause.judgement.sqnr_db, cause)
        for cause in diagnosis.causes
        if cause.judgement is not None
        and (cause.judgement.status != FAIL or takes_half_away(cause.judgement, diagnosis.as_it_is))
    ]
    return max(tried, key=lambda each: each[:2])[2] if tried else None


def _row(tried: str, judgement: Judgement | None) -> tuple[str, ...]:
    if judgement is None:
        return (tried, "-", "-", "-", "-")
    drop = f"{judgement.top1.drop_points:.2f}" if judgement.top1 else "-"
    agreement = f"{judgement.agreement.value:.2%}".rstrip("%")
    return (tried, f"{judgement.sqnr_db:.1f}", agreement, drop, judgement.status)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
