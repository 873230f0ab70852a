"""Shows what was added to a Triton repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.triton.repository import Addition
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_additions"]


def show_additions(additions: Sequence[Addition], kserve: Path | None, screen: Screen) -> None:
    """Show every model, its version and what it needs; warn of files that were left alone."""
    for addition in additions:
        for note in addition.notes:
            screen.warn(note)
    entries = [
        {
            "model": each.name,
            "version": each.version,
            "new": each.is_new,
            "platform": each.served.platform,
            "needs": each.served.needs,
            "folder": str(each.folder),
        }
        for each in additions
    ]
    screen.document({"models": entries, "kserve": str(kserve) if kserve else None})
    rows = [
        (each.name, f"{each.version}", each.served.platform, "" if each.is_new else "was there")
        for each in additions
    ]
    screen.result(text_table(("model", "version", "platform", ""), rows))
    if kserve is not None:
        screen.result(f"\nkubectl apply -f {kserve}")
