"""The options of a command line that say what a model is, and what it takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from export.arguments import Channels, Classes, Crop, Resize
from export.load_options import LoadOptions
from runtime.errors import OptionError

__all__ = ["LoadArguments"]


@dataclass(frozen=True, kw_only=True)
class LoadArguments:
    """What a command line says of the model, as it is said."""

    weights: Annotated[
        str,
        typer.Option(
            help="random, imagenet, or a checkpoint file; by default what suits the name."
        ),
    ] = ""
    ema: Annotated[
        bool, typer.Option("--ema", help="Take the file's average over steps (EMA).")
    ] = False
    seed: Annotated[int, typer.Option(help="Of random weights.")] = 0
    init: Annotated[
        str, typer.Option(help="Law of random weights: scattered, kaiming, torch, normal.")
    ] = ""
    classes: Classes = None
    channels: Channels = None
    from_rgb: Annotated[
        str, typer.Option(help="RGB weights for --channels N: repeat, mean, sum, luma, adapter.")
    ] = ""
    head: Annotated[str, typer.Option(help="What the model gives: logits, features or stages.")] = (
        "logits"
    )
    labels: Annotated[Path | None, typer.Option(help="Text file, one label a line.")] = None
    resize: Resize = None
    crop: Crop = None
    mean: Annotated[str, typer.Option(help="M[,M,M], for values of 0 to 1.")] = ""
    std: Annotated[str, typer.Option(help="S[,S,S], for values of 0 to 1.")] = ""
    interpolation: Annotated[str | None, typer.Option(help="bilinear or bicubic.")] = None

    def options(self) -> LoadOptions:
        """Return how to load the model.

        Raises:
            OptionError: if an option cannot work.
        """
        return LoadOptions(
            weights=self.weights,
            ema=self.ema,
            seed=self.seed,
            init=self.init,
            classes=self.classes,
            channels=self.channels,
            from_rgb=self.from_rgb,
            head=self.head,
            labels=self.labels,
            resize=self.resize,
            crop=self.crop,
            mean=_parse_numbers("--mean", self.mean),
            std=_parse_numbers("--std", self.std),
            interpolation=self.interpolation,
        )


def _parse_numbers(option: str, text: str) -> tuple[float, ...] | None:
    """Return the numbers of an option; None where it is not given."""
    if not text:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise OptionError(
            f"{option}: given '{text}'; expected numbers with commas between, such as 0.5,0.5,0.5"
        ) from None
