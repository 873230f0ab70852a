"""Ends an export of which a variant fails its gate, with the diagnosis."""

from __future__ import annotations

from export.variants.diagnose_precision import Cause
from export.variants.make_variants import Variants
from export.verdict.gates import FAIL, WARN
from runtime.errors import VerdictError
from runtime.terminal import Screen

__all__ = ["raise_failures"]


def raise_failures(variants: Variants, screen: Screen) -> None:
    """Return if no variant fails its gate; what is worth a warning is told as one.

    Raises:
        VerdictError: of the first that does; the others are shown as warnings, and of each what
            was tried to explain it.
    """
    complaints = []
    for name, judgement in variants.judgements.items():
        for remark in judgement.remarks if judgement.status == WARN else ():
            screen.warn(f"{name}: {remark}")
        if judgement.status == FAIL:
            causes = variants.causes.get(name, ())
            for cause in causes:
                screen.note(f"{name}: {_line(cause)}")
            explained = [f"{cause.name}: {cause.tried}" for cause in causes if cause.explains]
            why = f"explained by {explained[0]}" if explained else "no usual cause explains it"
            complaints.append(f"{name} fails its gate: {'; '.join(judgement.remarks)}; {why}")
    for complaint in complaints[1:]:
        screen.warn(complaint)
    if complaints:
        raise VerdictError(f"{complaints[0]}; nothing was published")


def _line(cause: Cause) -> str:
    return f"{cause.name}: {cause.tried}: {cause.found}"
