"""`python -m calibration sensitivity BUNDLE`: what quantizing each node alone costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Quiet
from runtime.require_packages import require_packages
from runtime.terminal import Screen

__all__ = ["sensitivity"]


def sensitivity(
    bundle: Folder,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Images the model will meet.")],
    target: Annotated[
        str, typer.Option(help="Where the quantized graph is to run: tensorrt or cpu.")
    ] = "tensorrt",
    images: Annotated[
        int, typer.Option(help="How many at most, spread evenly over the folder.")
    ] = 64,
    top: Annotated[int, typer.Option(help="How many nodes are shown, the worst first.")] = 20,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw all nodes, in order.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure what quantizing each node alone costs.

    And each residual block.
    Ranges are those in the bundle, or of BUNDLE.ranges.json. Where there are none that are of this
    model, they are measured on the same folder and written there.
    """
    require_packages("this", ("onnx", "onnx_ir", *(("matplotlib",) if plot else ())), "export")
    from calibration.sensitivity.order import Order
    from runtime.bundle import Bundle

    order = Order(data=data, target=target, images=images, top=top, plot=plot)
    screen = Screen(json=json, quiet=quiet)
    loaded = Bundle.load(bundle)
    # What words alone show to be wrong is told before these are imported.
    from calibration.sensitivity.investigate import investigate
    from calibration.sensitivity.show import show_sensitivity

    found = investigate(loaded, order, screen)
    if plot is not None:
        from calibration.sensitivity.plot import plot_sensitivity
        from runtime.publishing.replace_file import replace_file

        replace_file(plot, plot_sensitivity(found))
    show_sensitivity(found, order, screen)
