"""The arguments that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Folder", "Json", "Provider", "Quiet"]

Folder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The folder that export made.", show_default=False)
]
Provider = Annotated[
    str, typer.Option(help="Where it must run: cpu, cuda, tensorrt or rtx.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
