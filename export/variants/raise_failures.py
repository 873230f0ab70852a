"""Ends an export of which a variant fails its gate, with the diagnosis."""

from __future__ import annotations

from export.variants.make_variants import Variants
from export.variants.show_diagnosis import explaining_lines, summarize, tried_lines
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
    explained = list[str]()
    for name, judgement in variants.judgements.items():
        for remark in judgement.remarks if judgement.status == WARN else ():
            screen.warn(f"{name}: {remark}")
        if judgement.status == FAIL:
            diagnosis = variants.diagnoses[name]
            before, explained = explained, explaining_lines(diagnosis)
            again = explained == before  # one cause of several variants is told once
            for line in (*tried_lines(name, judgement, diagnosis), *([] if again else explained)):
                screen.note(line)
            remark, why = judgement.remarks[0], summarize(diagnosis)
            complaints.append(f"{name} fails its gate: {remark}; {why}")
    for complaint in complaints[1:]:
        screen.warn(complaint)
    if complaints:
        raise VerdictError(f"{complaints[0]}; nothing was published")
