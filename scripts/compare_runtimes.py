"""Compares what runs a ResNet on a processor: PyTorch, ONNX Runtime, OpenVINO and this project.

    PyTorch eager     the module in inference mode
    torch.compile     the same, compiled by Inductor for each shape
    ONNX Runtime      torch.onnx.export of the same module, and a bare loop
    OpenVINO          that file, in float32; "OpenVINO default" in what it chooses itself, which is
                      bfloat16 where a processor has it
    OpenVINO NNCF     that file quantized by NNCF, which lies in another environment: --nncf-python
    ours              every variant of the bundle, through the runner that verifies it; and again
                      "on openvino", ONNX Runtime's provider, where that is installed

Each in a process of its own, all on as many threads, all on the same random images. They take turns
window by window, as `python -m runtime bench` does, so that a drifting machine favours none.
Memory is the resident peak at that batch. Ratios are ours / theirs; below 1 is faster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from runtime.benchmark.child import Child
from runtime.benchmark.machine import describe_machine
from runtime.benchmark.show import describe
from runtime.benchmark.take_turns import Rule, take_turns
from runtime.benchmark.timing import PACE, Pace
from runtime.benchmark.worker import Subject
from runtime.bundle import Bundle
from runtime.errors import BackendError, DeployError, ProviderError
from runtime.table import text_table
from runtime.terminal import three_digits
from runtime.variant import ORACLE
from scripts import run_peer
from scripts.run_peer import CONTESTANTS

HERE = Path(__file__).parent
PROVIDERS = ("cpu", "openvino")
"""What our own variants run on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a contestant took at a batch."""

    name: str
    ours: bool
    batch: int
    ms: float
    """Median of all runs of all windows."""
    peak_mib: float
    settled: bool


def export_plainly(model: str, channels: int, size: int, path: str) -> None:
    """Write the module as torch.onnx.export makes it."""
    import torch

    from export.load import load
    from export.load_options import LoadOptions

    images = torch.zeros(2, channels, size, size)
    dynamic = {0: torch.export.Dim("batch")}
    with contextlib.redirect_stdout(sys.stderr):
        torch.onnx.export(
            load(model, LoadOptions(weights="random", channels=channels)).module.eval(),
            (images,),
            path,
            input_names=["images"],
            dynamic_shapes=(dynamic,),
            external_data=False,
            verbose=False,
        )


def quantize_with_nncf(python: Path, onnx: str, shape: Sequence[int]) -> str:
    """Return the path of the model that NNCF makes of another; speed does not need real images."""
    images, quantized = f"{onnx}.npy", f"{onnx}.nncf.onnx"
    np.save(images, np.random.default_rng(0).standard_normal((8, *shape), dtype=np.float32))
    script = str(HERE / "quantize_with_peer.py")
    command = [str(python), script, "NNCF", onnx, images, quantized]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BackendError(f"'{python}' cannot quantize with NNCF ({reason})")
    return quantized


def compare(
    folder: Path,
    batches: Sequence[int],
    threads: int,
    names: Sequence[str],
    nncf: Path | None,
    pace: Pace,
) -> tuple[list[Row], list[str]]:
    """Return what every contestant took at every batch, and who could not take part, and why."""
    bundle = Bundle.load(folder)
    manifest = bundle.manifest
    model, channels = manifest.model.name, manifest.image.channel_count
    rows: list[Row] = []
    absent: list[str] = []
    with contextlib.ExitStack() as held:
        onnx = f"{held.enter_context(tempfile.TemporaryDirectory())}/plain.onnx"
        if set(names) - {"PyTorch eager", "torch.compile"}:
            export_plainly(model, channels, manifest.image.crop, onnx)
        quantized = quantize_with_nncf(nncf, onnx, _image(bundle)) if nncf else ""
        children: list[tuple[str, Child, bool]] = []
        for name in names:
            theirs = run_peer.Subject(
                contestant=name,
                model=model,
                channels=channels,
                onnx=onnx,
                quantized=quantized,
                threads=threads,
            )
            words = json.dumps(dataclasses.asdict(theirs))
            command = [sys.executable, str(HERE / "run_peer.py"), words]
            try:
                children.append((name, held.enter_context(Child(name, command)), False))
            except BackendError as error:
                absent.append(str(error))
        for provider, name in itertools.product(PROVIDERS, manifest.variants):
            subject = Subject(bundle=str(folder), name=name, provider=provider, threads=threads)
            shown = f"ours, {name}" if provider == "cpu" else f"ours, {name} on {provider}"
            try:
                children.append((shown, held.enter_context(Child(shown, subject.command)), True))
            except ProviderError as error:
                absent.append(str(error))
        for batch in sorted(batches):
            rows += _race(children, manifest.pixels, [batch, *_image(bundle)], pace)
    return rows, absent


def _image(bundle: Bundle) -> list[int]:
    return list(bundle.manifest.image.shape("NCHW"))


def _race(
    children: Sequence[tuple[str, Child, bool]], pixels: str, shape: list[int], pace: Pace
) -> list[Row]:
    """Return what each took at one batch, in turn."""
    batch = shape[0]

    def order(*, ours: bool) -> tuple[list[int], str]:
        if not (ours and pixels):
            return shape, "float32"
        return ([batch, *shape[2:], shape[1]] if pixels == "NHWC" else shape), "uint8"

    peaks = [child.warm_up(*order(ours=ours), pace).peak_mib for _, child, ours in children]

    def turn(child: Child, *, ours: bool) -> Callable[[], Sequence[float]]:
        return lambda: child.window(*order(ours=ours), pace).ms

    turns = [turn(child, ours=ours) for _, child, ours in children]
    timed = take_turns(turns, Rule(most=6), lambda: None)
    return [
        Row(
            name=name,
            ours=ours,
            batch=batch,
            ms=statistics.median(times.runs),
            peak_mib=peak,
            settled=times.settled,
        )
        for (name, _, ours), times, peak in zip(children, timed, peaks, strict=True)
    ]


def show(rows: Sequence[Row], title: str) -> str:
    """Return a table: for each contestant our variants' time over its own, then the times."""
    ours = [row for row in rows if row.ours]
    header = (title, *(row.name.removeprefix("ours, ") for row in ours), "ms", "MiB")
    cells = [
        (
            row.name + ("" if row.settled else " ?"),
            *(f"{own.ms / row.ms:.2f}" for own in ours),
            three_digits(row.ms),
            f"{row.peak_mib:.0f}",
        )
        for row in rows
    ]
    return text_table(header, cells)


def main(  # noqa: PLR0913 (a command line)
    bundles: Annotated[
        list[Path],
        typer.Argument(help="Made by python -m export resnet18 --onnx --precision fp32 int8 ..."),
    ],
    batch: Annotated[list[int], typer.Option(min=1, help="May be repeated.")] = [1, 8],  # noqa: B006
    threads: Annotated[int, typer.Option(min=0, help="0 is all cores.")] = 0,
    contestant: Annotated[
        list[str], typer.Option(help=f"Of {', '.join(CONTESTANTS)}; may be repeated.")
    ] = list(CONTESTANTS),  # noqa: B006
    nncf_python: Annotated[
        Path | None, typer.Option(help="The Python of an environment that has NNCF and onnx.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, max=60, help="Of a window.")
    ] = PACE.window_seconds,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare latency and memory of the same ResNet in several runtimes, in one run."""
    unknown = sorted(set(contestant) - set(CONTESTANTS))
    if unknown:
        raise SystemExit(f"no contestant '{unknown[0]}'; there are {', '.join(CONTESTANTS)}")
    machine = describe_machine()
    threads = threads or machine.cores
    pace = Pace(window_seconds=seconds)
    found: dict[str, list[Row]] = {}
    for folder in bundles:
        try:
            rows, absent = compare(folder, batch, threads, contestant, nncf_python, pace)
        except DeployError as error:
            raise SystemExit(f"error: {error}") from None
        found[Bundle.load(folder).manifest.model.name] = rows
        print("".join(f"left out: {reason}\n" for reason in absent), end="", file=sys.stderr)
    if as_json:
        print(json.dumps({name: [vars(r) for r in rows] for name, rows in found.items()}, indent=2))
    else:
        print(f"{describe(machine)}; {threads} threads")
        print("\n".join(tables(found)))


def tables(found: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yield a table for each model and batch, and what is to be said of them."""
    for name, rows in found.items():
        for batch in sorted({row.batch for row in rows}):
            yield "\n" + show([row for row in rows if row.batch == batch], f"{name}, batch {batch}")
    every = [row for rows in found.values() for row in rows]
    if not all(row.settled for row in every):
        yield "?: its windows did not come to agree within 5 %; mistrust this row"
    if any(row.name.endswith(ORACLE) for row in every):
        yield f"{ORACLE} on a CPU is an oracle for TensorRT's answers: its time means nothing"


if __name__ == "__main__":
    typer.run(main)
