"""Shows a plan: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses

from export.delivery.plan import Plan, PlannedEngine
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_plan"]


def show_plan(plan: Plan, screen: Screen) -> None:
    """Show what would be built, with the memory it takes, and whether it can be."""
    screen.document(dataclasses.asdict(plan))
    screen.result(
        f"{plan.model}: {plan.parameters:,} parameters, {plan.macs / 1e9:.3g} GMACs an image; "
        f"on {plan.machine}\n"
    )
    header = ("engine", "library", "for", "weights", "activations", "to build", "")
    screen.result(text_table(header, [_row(engine) for engine in plan.engines]))
    for engine in plan.engines:
        name = engine.order.name
        for profile in engine.order.options.profiles:
            screen.result(f"{name} takes {profile}")
        for note in engine.preflight.notes:
            screen.result(f"{name}: {note}")
        for obstacle in engine.preflight.obstacles:
            screen.result(f"{name} cannot be built: {obstacle}")
    if plan.trtexec:
        screen.result("\n" + "\n".join(plan.trtexec))


def _row(engine: PlannedEngine) -> tuple[str, ...]:
    options, memory = engine.order.options, engine.preflight.memory
    this = "the GPU there" if options.flavour == "tensorrt" else "Ampere and newer"
    return (
        engine.order.name,
        f"{options.flavour} {engine.version or '(missing)'}",
        " ".join(options.target_sms) or this,
        f"{memory.weights:,} MiB",
        f"{memory.activations:,} MiB",
        f"{memory.to_build:,} MiB",
        "no" if engine.preflight.obstacles else "yes",
    )
