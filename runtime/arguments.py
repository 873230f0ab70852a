"""The arguments that commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "NAMES",
    "PROVIDER_NAMES",
    "ClassNames",
    "Engines",
    "Folder",
    "Json",
    "Provider",
    "Quiet",
    "Truth",
    "TunedBatch",
    "TunedProvider",
    "Variants",
]

NAMES = re.compile(r"\w[^/\\=]*")
"""What stands behind options of several names; a folder with a slash is none, so that a bundle may
follow."""

Folder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The folder that export made.", show_default=False)
]
PROVIDER_NAMES = "cpu, cuda, tensorrt, rtx or openvino"
"""Those of `runtime.providers.PROVIDERS`, which is loaded when a model is opened and not before."""
Provider = Annotated[
    str, typer.Option(help=f"Where it must run: {PROVIDER_NAMES}.", metavar="NAME")
]
TunedBatch = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many images to run at once; by default as tuned, or 8.",
        show_default=False,
    ),
]
TunedProvider = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Where it must run: {PROVIDER_NAMES}; by default as tuned, or cpu.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results only.")]
Variants = Annotated[
    str, typer.Option(metavar="NAME...", help="Only these variants.", show_default=False)
]
Engines = Annotated[
    str, typer.Option(metavar="NAME...", help="Only these engines.", show_default=False)
]
Truth = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Tells the classes of a folder without folders, a line for each image.",
        show_default=False,
    ),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Names the classes of a model that has no labels, one a line.",
        show_default=False,
    ),
]
