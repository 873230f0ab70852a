"""`python -m runtime verify`: checks a bundle against its own promises."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.arguments import NAMES, Folder, Json, Provider
from runtime.command_line import split_words
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["verify"]

WORD_LISTS = {"--engine": NAMES}


@instant_interrupt()
def verify(
    bundle: Folder,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing if all is well.")] = False,
    provider: Provider = "cpu",
    engine: Annotated[
        str,
        typer.Option(metavar="NAME...", help="Run these engines instead.", show_default=False),
    ] = "",
) -> None:
    """Check that a bundle is whole and still computes the same.

    The exit status is 1 if anything differs from what its manifest promises.
    """
    from runtime.bundle import Bundle
    from runtime.errors import OptionError, VerdictError
    from runtime.verification.show import show_verification
    from runtime.verification.verify import verify

    loaded = Bundle.load(bundle)
    if engine and provider != "cpu":
        raise OptionError("an engine runs in TensorRT itself; leave --provider out")
    report = verify(loaded, provider, split_words(engine))
    screen = Screen(json=json)
    for note in report.notes:
        screen.warn(note)
    if json or not quiet:
        show_verification(report, loaded, screen)
    wrong = report.first_difference
    if wrong is not None:
        raise VerdictError(
            f"'{bundle}' differs in {wrong.name}: given {wrong.given}; expected {wrong.expected}"
        )
