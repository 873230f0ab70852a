"""Tries the usual cause of a float16 variant's failure: values that do not fit it."""

from __future__ import annotations

from collections.abc import Mapping

from export.halve import unsafe_nodes
from export.variants.bench import Bench
from export.variants.cause import Cause
from export.variants.made import Form, MadeVariant
from export.variants.make_float16 import make_float16
from runtime.terminal import Screen

__all__ = ["float16_for", "leave_in_float32"]

_QUIET = Screen(quiet=True)


def float16_for(form: Form, bench: Bench, kept: Mapping[str, str]) -> MadeVariant:
    """Return the variant in which all that does not fit float16 on the images is float32.

    Args:
        form: what the variant takes.
        bench: the images.
        kept: nodes that are float32 anyway, each with the reason.

    Raises:
        BackendError: if the graph cannot run on them.
    """
    unsafe = unsafe_nodes(bench.graph, bench.normalised)
    return make_float16(bench.graph, unsafe | dict(kept), form, _QUIET)


def leave_in_float32(made: MadeVariant, form: Form, bench: Bench) -> list[Cause]:
    """Return what comes of float32 where float16 does not do; nothing if it does everywhere.

    Args:
        made: the variant that failed.
        form: what it takes.
        bench: the images it failed on.

    Raises:
        BackendError: if the graph cannot run on the images.
    """
    wider = float16_for(form, bench, made.kept_float)
    new = [node for node in wider.kept_float if node not in made.kept_float]
    if not new:
        return []
    more = f" and {len(new) - 1} more" if len(new) > 1 else ""
    cause = Cause(
        name="saturating layer",
        tried=f"'{new[0]}'{more} in float32",
        judgement=bench.judge(wider),
        evidence=f"'{new[0]}' {wider.kept_float[new[0]]}",
        cure="export again with --calibration-data, images like those it is judged by: what does "
        "not fit float16 on them stays in float32",
        shown=True,
    )
    return [cause]
