"""Trains a ResNet on labelled images; what it writes exports as it is.

    python scripts/finetune_classifier.py --model resnet18 --data FOLDER --recipe discriminative
    python -m export auto --weights artifacts/training/resnet18/best.safetensors --onnx

A training that was killed goes on when the same command is given again, and ends in the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runtime.command_line import run
from runtime.terminal import Screen

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def finetune(  # noqa: PLR0913 (a Typer command's parameters are its command line)
    model: Annotated[str, typer.Option(help="A ResNet of python -m export --list, or auto.")],
    data: Annotated[
        Path, typer.Option(help="FOLDER/CLASS/..., FOLDER/train/CLASS/... or a CSV: path,label.")
    ],
    recipe: Annotated[str, typer.Option(help="freeze, discriminative, gradual or scratch.")],
    weights: Annotated[
        str, typer.Option(help="random, imagenet or a file; what suits the recipe, if not given.")
    ] = "",
    init: Annotated[
        str, typer.Option(help="The law random weights are drawn by, as python -m export has it.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="A folder.  [default: artifacts/training/MODEL]")
    ] = None,
    epochs: Annotated[int, typer.Option(help="15, or 100 from scratch.", show_default=False)] = 0,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate of the head; the others in proportion.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of kernels only.")] = None,
    schedule: Annotated[str, typer.Option(help="cosine, onecycle or steps.")] = "cosine",
    stage_epochs: Annotated[
        int, typer.Option(help="Epochs until more stages learn (freeze, gradual).")
    ] = 2,
    freeze_first: Annotated[
        int, typer.Option(help="How many of conv1, bn1, layer1 .. layer4 never learn.")
    ] = 0,
    label_smoothing: Annotated[float, typer.Option()] = 0.1,
    augment: Annotated[str, typer.Option(help="photograph, inspection or none.")] = "photograph",
    balance: Annotated[
        bool, typer.Option("--balance", help="Let rare classes count as much as frequent ones.")
    ] = False,
    channels: Annotated[int | None, typer.Option(help="1 or 3; those of the weights.")] = None,
    from_rgb: Annotated[
        str, typer.Option(help="Turn RGB weights: repeat, mean, sum, luma or adapter.")
    ] = "",
    resize: Annotated[int | None, typer.Option(help="Shorter side, in pixels.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of what the model sees.")] = None,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or auto.")] = "auto",
    val_share: Annotated[float, typer.Option(help="Where the data is not split yet.")] = 0.15,
    test_share: Annotated[float, typer.Option(help="Where the data is not split yet.")] = 0.15,
    split_seed: Annotated[int, typer.Option(help="Where the data is not split yet.")] = 0,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
    threads: Annotated[int, typer.Option(help="One a core.", show_default=False)] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read images; none if they fit in memory.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="In the end, judge the best epoch on the test images.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print results only.")] = False,
) -> None:
    """Train a ResNet on labelled images; what it writes exports as it is.

    A training that was killed goes on when the same command is given again.
    """
    from export.weights.check_weights import check_weights

    check_weights(weights)  # before torch is imported, which takes seconds
    from export.training.finetune import finetune as train
    from export.training.order import Order
    from export.training.recipes import Pace
    from export.training.show import show_outcome
    from export.training.split import Shares

    order = Order(
        model=model,
        data=data,
        recipe=recipe,
        output=output or Path("artifacts") / "training" / model,
        pace=Pace(
            batch=batch,
            rate=lr,
            weight_decay=weight_decay,
            stage_epochs=stage_epochs,
            freeze_first=freeze_first,
        ),
        weights=weights,
        init=init,
        from_rgb=from_rgb,
        epochs=epochs,
        channels=channels,
        resize=resize,
        crop=crop,
        schedule=schedule,
        label_smoothing=label_smoothing,
        augment=augment,
        balance=balance,
        precision=precision,
        shares=Shares(val=val_share, test=test_share),
        split_seed=split_seed,
        seed=seed,
        test=test,
        threads=threads,
        workers=workers,
    )
    screen = Screen(json=json, quiet=quiet)
    show_outcome(train(order, screen), screen)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run(app, "scripts/finetune_classifier.py", argv)


if __name__ == "__main__":
    raise SystemExit(main())
