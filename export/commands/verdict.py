"""`python -m export verdict`: says whether a bundle may ship."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from export.arguments import Data, require_extra
from export.divergence.wish import Wish
from runtime.arguments import Folder, Json, Quiet
from runtime.errors import OptionError, VerdictError
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["verdict"]


def verdict(
    bundle: Folder,
    data: Data,
    gates: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Gates other than the usual ones.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write all of it as one page.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="What was exported, to compare it with PyTorch layer by layer.")
    ] = "",
    weights: Annotated[
        str, typer.Option(help="As at the export.  [default: what the manifest names]")
    ] = "",
    ema: Annotated[bool, typer.Option("--ema", help="As at the export.")] = False,
    from_rgb: Annotated[str, typer.Option(help="As at the export.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say if a bundle may ship: every measurement beside its gate.

    The exit status is 1 if a gate fails. What too few images cannot show is "not shown": never a
    pass, and no failure unless the gates say so.
    """
    require_extra()
    if (weights or ema or from_rgb) and not name:
        raise OptionError(
            "--weights, --ema and --from-rgb say which PyTorch model was exported; give its "
            "--name NAME, too"
        )
    from export.verdict.read_gates import read_gates
    from runtime.bundle import Bundle
    from runtime.publishing.replace_file import check_replaceable

    screen = Screen(json=json, quiet=quiet)
    chosen = read_gates(gates)
    wish = Wish(name=name, weights=weights, ema=ema, from_rgb=from_rgb) if name else None
    if report is not None:
        check_replaceable(report)
    loaded = Bundle.load(bundle)
    with instant_interrupt():
        from export.verdict.show import complaint, show_verdict
        from export.verdict.verdict import Question, judge

    # What a model's own code prints is no result.
    with contextlib.redirect_stdout(sys.stderr):
        found, evidence = judge(loaded, Question(data=data, gates=chosen, wish=wish), screen)
        if report is not None:
            from export.report.write_report import write_report

            write_report(report, loaded, found, evidence, wish, screen)
    show_verdict(found, chosen, report, screen)
    if not found.passed:
        raise VerdictError(complaint(found))
