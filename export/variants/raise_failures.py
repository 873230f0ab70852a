"""Ends an export of which a variant fails its gate, with the diagnosis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from export.variants.cause import Cause, Diagnosis
from export.variants.make_variants import Variants
from export.verdict.gates import FAIL, WARN
from runtime.errors import VerdictError
from runtime.judgement import Judgement
from runtime.table import WIDTH, text_table
from runtime.terminal import Screen

__all__ = ["raise_failures"]

_HEADER = ("tried", "SQNR dB", "agreement %", "top-1 drop", "gate")
_AS_GOOD = 3
"""Other things to do that are named, at most."""


def raise_failures(variants: Variants, screen: Screen) -> None:
    """Return if no variant fails its gate; what is worth a warning is told as one.

    Raises:
        VerdictError: of the first that does; the others are shown as warnings, and of each what
            was tried to explain it.
    """
    complaints, told = [], list[str]()
    for name, judgement in variants.judgements.items():
        for remark in judgement.remarks if judgement.status == WARN else ():
            screen.warn(f"{name}: {remark}")
        if judgement.status == FAIL:
            diagnosis = variants.diagnoses[name]
            for line in (*_tried(name, judgement, diagnosis), *_told(diagnosis, told)):
                screen.note(line)
            complaints.append(f"{name} fails its gate: {judgement.remarks[0]}; {_why(diagnosis)}")
    for complaint in complaints[1:]:
        screen.warn(complaint)
    if complaints:
        raise VerdictError(f"{complaints[0]}; nothing was published")


def _why(diagnosis: Diagnosis) -> str:
    explaining = _explaining(diagnosis)
    if not explaining:
        return "no usual cause explains it; --keep-float auto may help int8"
    return f"explained by {explaining[0].name}: {explaining[0].cure}"


def _tried(name: str, judgement: Judgement, diagnosis: Diagnosis) -> Iterator[str]:
    """Yield what the gates say of a variant, and what was tried, in lines that fit a terminal."""
    yield f"{name} fails its gate:"
    for remark in judgement.remarks:
        yield from _wrapped(remark)
    rows = [_row("as it is", diagnosis.as_it_is)]
    rows += [_row(cause.tried, cause.judgement) for cause in diagnosis.causes]
    yield from text_table(_HEADER, rows).splitlines()


def _told(diagnosis: Diagnosis, before: list[str]) -> list[str]:
    """Return what explains the failure; nothing if another variant's was explained by the same."""
    explaining = _explaining(diagnosis)
    lines = list[str]()
    for cause in explaining[:1]:
        also = tuple(f"{each.name}: {each.tried}" for each in explaining[1:])
        lines += _cause(f"explained by {cause.name}", cause, also)
    for cause in diagnosis.causes:
        if cause.shown and not cause.explains:
            lines += _cause(f"not the reason, but amiss: {cause.name}", cause, ())
    if lines == before:
        return []
    before[:] = lines
    return lines


def _cause(said: str, cause: Cause, also: tuple[str, ...]) -> list[str]:
    others = (*cause.as_good, *also)
    more = f"; and {len(others) - _AS_GOOD} more" if len(others) > _AS_GOOD else ""
    as_good = f"not to be told from: {'; '.join(others[:_AS_GOOD])}{more}" if others else ""
    lines = [as_good, cause.evidence, f"what to do: {cause.cure}"]
    return [*_wrapped(f"{said}: {cause.tried}", ""), *(w for line in lines for w in _wrapped(line))]


def _explaining(diagnosis: Diagnosis) -> list[Cause]:
    return [cause for cause in diagnosis.causes if cause.explains]


def _row(tried: str, judgement: Judgement | None) -> tuple[str, ...]:
    if judgement is None:
        return (tried, "-", "-", "-", "-")
    drop = f"{judgement.top1.drop_points:.2f}" if judgement.top1 else "-"
    agreement = f"{judgement.agreement.value:.2%}".rstrip("%")
    return (tried, f"{judgement.sqnr_db:.1f}", agreement, drop, judgement.status)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
