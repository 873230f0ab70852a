"""`python -m export diff`: says what changed from one release to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export.arguments import require_extra
from runtime.arguments import Json, Quiet
from runtime.errors import VerdictError
from runtime.terminal import Screen

__all__ = ["diff"]


def diff(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="The older bundle.", show_default=False)
    ],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="The newer bundle.", show_default=False)
    ],
    gates: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Gates other than the usual ones.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what changed between two bundles, and if for the worse.

    Accuracy and speed count where `evaluate` and `bench` left their results beside both bundles.
    The exit status is 1 if a gate fails.
    """
    require_extra()
    from export.verdict.read_gates import read_gates
    from runtime.bundle import Bundle

    screen = Screen(json=json, quiet=quiet)
    chosen = read_gates(gates)
    older, newer = Bundle.load(before), Bundle.load(after)
    from export.release.diff import diff
    from export.release.show import show_comparison, summarize

    comparison = diff(older, newer, chosen)
    show_comparison(comparison, screen)
    if comparison.failed:
        raise VerdictError(summarize(comparison))
