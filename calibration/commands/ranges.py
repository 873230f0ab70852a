"""`python -m calibration BUNDLE`: measures the range of every activation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Quiet
from runtime.require_packages import require_packages
from runtime.terminal import Screen

__all__ = ["ranges"]


def ranges(
    bundle: Folder,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Images the model will meet.")],
    images: Annotated[
        int, typer.Option(help="How many at most, spread evenly over the folder.")
    ] = 512,
    method: Annotated[
        str, typer.Option(help="minmax, percentile, entropy, mse, tails, or auto: the best.")
    ] = "auto",
    output: Annotated[
        Path | None, typer.Option(help="Ranges file.  [default: BUNDLE.ranges.json]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the range of every activation, which int8 needs.

    A run that was killed goes on where it stood when it is started again.
    """
    require_packages("this", ("onnx", "onnx_ir"), "export")
    from calibration.order import Order
    from runtime.bundle import Bundle
    from runtime.publishing.replace_file import check_replaceable
    from runtime.results_file import results_path

    screen = Screen(json=json, quiet=quiet)
    target = output or results_path(bundle, "ranges")
    check_replaceable(target)
    order = Order(
        data=data,
        checkpoint=target.with_name(f"{target.name}.part"),
        images=images,
        method=method,
    )
    loaded = Bundle.load(bundle)
    # What words alone show to be wrong is told before these are imported.
    from calibration.calibrate import calibrate
    from calibration.read_graph import read_graph
    from calibration.show import show_calibration

    calibration = calibrate(read_graph(loaded), loaded.manifest.image, order, screen)
    calibration.ranges.save(target)
    show_calibration(calibration, target, screen)
