"""Compares this project's int8 graphs with those of other quantizers, in one run.

All get the same float32 graph and the same calibration images, one process each, and are judged on
the same images that none has seen: the bundle's model on DATA (made by scripts/prepare_elpv.py),
and the embedded digits classifier on scans. Peers get preprocessed images; ours read files.

    target tensorrt    judged as written, pair by pair in float32: what TensorRT should return
    target cpu         judged as ONNX Runtime runs it, in integers where it finds its patterns

Seconds are the processor time of the work on all cores, without imports: a busy machine stretches
it less than the clock. Memory is the resident peak of the whole process.
NNCF and ModelOpt have dependencies of their own: name a Python that has them.

    python -m venv nncf && nncf/bin/pip install nncf onnx onnxruntime openvino
    python -m venv modelopt && modelopt/bin/pip install 'nvidia-modelopt[onnx]'
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx_ir as ir
import typer
from numpy.typing import NDArray

from calibration.images import choose_images
from calibration.score import score_logits
from export.quantization.placement import ONNXRUNTIME, TENSORRT, Placement
from runtime.bundle import Bundle
from runtime.images import load_image
from runtime.table import text_table
from runtime.terminal import Screen

HERE = Path(__file__).parent
PEERS = (
    "onnxruntime MinMax int8",
    "onnxruntime MinMax uint8",
    "onnxruntime Entropy int8",
    "onnxruntime Entropy uint8",
    "onnxruntime Percentile int8",
    "onnxruntime Percentile uint8",
    "NNCF",
    "ModelOpt max",
    "ModelOpt entropy",
)
"""As quantize_with_peer.py knows them."""
GOALS = "goals: SQNR at least 43 dB and above every peer's; drop at most 0.2 points; agreement\n\
at least 99.5 %; seconds below every peer's; peak memory at most 0.7 GB"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A quantizer, and which Python has it."""

    name: str
    target: str
    """"tensorrt" or "cpu"."""
    python: str = sys.executable
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a contestant did on one model; the figures are None if it failed."""

    name: str
    target: str
    sqnr_db: float | None = None
    drop_points: float | None = None
    """Of top-1, in percent; None where true classes are not known."""
    agreement: float | None = None
    seconds: float | None = None
    peak_mib: float | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Arena:
    """A model, what to calibrate it on and what to judge by."""

    bundle: Bundle
    folder: Path
    """Holds what contestants read and write, and `data`."""
    images: int
    """To calibrate on."""

    @property
    def calibration(self) -> Path:
        """The folder of images to calibrate on."""
        return self.folder / "data" / "train"

    @property
    def test(self) -> Path:
        """The folder of images to judge by."""
        return self.folder / "data" / "test"

    @property
    def model(self) -> Path:
        """The float32 graph."""
        return self.bundle.folder / self.bundle.variant("fp32").file


# What ours do: from a graph to a graph.


def plain(arena: Arena, placement: Placement) -> Callable[[], bytes]:
    """Return the work of minmax ranges and nothing else."""
    from calibration.choose import choose
    from calibration.images import read_batches
    from calibration.measure import measure
    from calibration.read_graph import read_graph
    from calibration.resume import batch_size
    from export.quantization.placement import head
    from export.quantize import quantize

    def work() -> bytes:
        graph, spec = read_graph(arena.bundle), arena.bundle.manifest.image
        files, _ = choose_images(arena.calibration, arena.images)
        batches = read_batches(files, spec, batch_size(graph, spec))
        ranges = choose(measure(graph, (b.images for b in batches)), "minmax", placement.grid)
        return _bytes(quantize(graph, ranges, placement, head(graph)))

    return work


def recipe(arena: Arena, placement: Placement, layout: str) -> Callable[[], bytes]:
    """Return the work of `python -m export --precision int8`, by the functions of its own line."""
    from calibration.calibrate import Order, calibrate
    from calibration.equalize import equalize
    from calibration.read_graph import read_graph
    from export.variants.fit_head import prepare_head_fit
    from export.variants.made import Form
    from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt

    def work() -> bytes:
        graph, spec = read_graph(arena.bundle), arena.bundle.manifest.image
        screen, form = Screen(quiet=True), Form(image=spec, pixels=layout, stamp=_bytes)
        part = arena.folder / f"{os.getpid()}.part"
        order = Order(data=arena.calibration, checkpoint=part, images=arena.images)
        measured = calibrate(graph, spec, order, screen).ranges
        equalized = equalize(graph, measured.peaks)
        files, _ = choose_images(arena.calibration, arena.images)
        how = Int8Recipe(
            equalized=equalized,
            ranges=measured,
            form=form,
            vnni=True,
            half_rest=False,
            unsafe=(),
            head_fit=prepare_head_fit(equalized, files, form, screen),
        )
        make = make_tensorrt if placement is TENSORRT else make_cpu
        return make(how, {}, screen).data

    return work


def _bytes(graph: ir.Model) -> bytes:
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


OURS: dict[str, Callable[[Arena], Callable[[], bytes]]] = {
    f"ours {name} {placement.name}": partial(make, placement=placement)
    for placement in (TENSORRT, ONNXRUNTIME)
    for name, make in (
        ("plain", plain),
        ("recipe", partial(recipe, layout="")),
        ("pixels", partial(recipe, layout="NCHW")),
    )
}


def contestants(nncf: str, modelopt: str) -> list[Contestant]:
    """Return who takes part, given the Pythons that have NNCF and ModelOpt."""
    pythons = {"onnxruntime": sys.executable, "NNCF": nncf, "ModelOpt": modelopt}
    ours = [
        Contestant(name=name, target="tensorrt" if "tensorrt" in name else "cpu", ours=True)
        for name in OURS
    ]
    return ours + [
        Contestant(
            name=name,
            target="tensorrt" if name.startswith("ModelOpt") else "cpu",
            python=pythons[name.split()[0]],
        )
        for name in PEERS
    ]


def compete(contestant: Contestant, arena: Arena, jury: Jury) -> Outcome:
    """Return how a contestant does on a model."""
    who = partial(Outcome, name=contestant.name, target=contestant.target)
    if not contestant.python:
        return who(error="no Python that has it was named")
    output = arena.folder / "quantized.onnx"
    output.unlink(missing_ok=True)
    if contestant.ours:
        given = [str(arena.bundle.folder), str(arena.folder), "--images", str(arena.images)]
        command = [__file__, *given, "--only", contestant.name]
    else:
        given = [str(arena.model), str(arena.folder / "images.npy"), str(output)]
        command = [str(HERE / "quantize_with_peer.py"), contestant.name, *given]
    answer, peak_mib, error = run([contestant.python, *command])
    if error:
        return who(error=error)
    sqnr_db, agreement, drop = jury.judge(output, as_written=contestant.target == "tensorrt")
    return who(
        sqnr_db=sqnr_db,
        agreement=agreement,
        drop_points=drop,
        seconds=answer,
        peak_mib=peak_mib,
    )


def run(command: Sequence[str]) -> tuple[float, float, str]:
    """Return the number that a child prints last, its peak memory in MiB, and why it failed."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        assert child.stdout is not None
        lines = child.stdout.read().split()
        _, status, usage = os.wait4(child.pid, 0)
        child.stdout.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if child.returncode:
            last = [line for line in said.read().splitlines() if line.strip()][-1:]
            return 0.0, 0.0, " ".join(last)[:200] or f"exit status {child.returncode}"
    return float(lines[-1]), usage.ru_maxrss / 1024, ""


class Jury:
    """Images that no contestant has seen, and what the float32 model says of them."""

    def __init__(self, arena: Arena) -> None:
        spec, labels = arena.bundle.manifest.image, list(arena.bundle.manifest.labels)
        files, _ = choose_images(arena.test, 10**6)
        names = [file.path.parent.name for file in files]
        known = set(names) <= set(labels)
        self.images = {
            layout: np.stack([load_image(file.path, spec, layout) for file in files])
            for layout in ("", "NCHW")
        }
        self.classes = np.array([labels.index(name) for name in names]) if known else None
        self.reference = self._logits(arena.model, as_written=True)

    def judge(self, model: Path, *, as_written: bool) -> tuple[float, float, float | None]:
        """Return SQNR in decibel, agreement from 0 to 1, and the drop of top-1 in points."""
        logits = self._logits(model, as_written=as_written)
        found = score_logits(self.reference, logits)
        drop = None
        if self.classes is not None:
            before, after = (
                100 * float((each.argmax(1) == self.classes).mean())
                for each in (self.reference, logits)
            )
            drop = before - after
        return found.sqnr_db, found.top1_agreement, drop

    def _logits(self, model: Path, *, as_written: bool) -> NDArray[np.float32]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_quant_qdq", str(int(as_written)))
        session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        given = session.get_inputs()[0]
        images = self.images["NCHW" if "uint8" in given.type else ""]
        pieces = (images[start : start + 16] for start in range(0, len(images), 16))
        return np.concatenate([session.run(None, {given.name: piece})[0] for piece in pieces])


def write_digits(folder: Path) -> None:
    """Write the scans, as PNG files: train/CLASS/0000.png ... and test/..., one third held out."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))  # as train_digits.py splits
    third = len(order) // 3
    for part, chosen in (("test", order[:third]), ("train", order[third:])):
        for index in chosen:
            path = folder / part / str(data.target[index]) / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.rint(data.images[index] * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(path)


def arenas(bundle: Path, data: Path, folder: Path, images: int) -> Iterator[Arena]:
    """Yield the bundle on its data, and the embedded digits classifier on scans."""
    first, second = folder / "first", folder / "second"
    for home in (first, second):
        home.mkdir()
    (first / "data").symlink_to(data.resolve())
    yield prepare(Arena(bundle=Bundle.load(bundle), folder=first, images=images))
    write_digits(second / "data")
    words = ["resnet20-digits", "--onnx", "--parity-budget", "1", "--output", str(second / "b")]
    command = [sys.executable, "-m", "export", *words]
    subprocess.run(command, check=True, capture_output=True, cwd=HERE.parent)
    yield prepare(Arena(bundle=Bundle.load(second / "b"), folder=second, images=images))


def prepare(arena: Arena) -> Arena:
    """Return the arena, its images preprocessed for those that cannot read files."""
    files, _ = choose_images(arena.calibration, arena.images)
    spec = arena.bundle.manifest.image
    np.save(arena.folder / "images.npy", np.stack([load_image(f.path, spec) for f in files]))
    return arena


def show(outcomes: Sequence[Outcome]) -> str:
    """Return the table."""

    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else f"{value:{form}}"

    rows = [
        [
            outcome.name,
            cell(outcome.sqnr_db, ".1f"),
            cell(outcome.drop_points, "+.2f"),
            cell(outcome.agreement and 100 * outcome.agreement, ".2f"),
            cell(outcome.seconds, ".1f"),
            cell(outcome.peak_mib, ".0f"),
        ]
        for outcome in outcomes
    ]
    header = ["quantizer", "SQNR dB", "drop", "same top-1 %", "cpu s", "peak MiB"]
    missing = [f"{outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error]
    return "\n".join([text_table(header, rows), *missing])


def main(  # noqa: PLR0913  (its command line)
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export auto --weights ...")],
    data: Annotated[Path, typer.Argument(help="Made by scripts/prepare_elpv.py: train and test.")],
    images: Annotated[int, typer.Option(min=40, help="To calibrate on.")] = 256,
    nncf_python: Annotated[str, typer.Option(help="A Python that has NNCF.")] = "",
    modelopt_python: Annotated[str, typer.Option(help="A Python that has ModelOpt.")] = "",
    names: Annotated[str, typer.Option(help="Only whom this pattern finds.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    only: Annotated[str, typer.Option(hidden=True, help="Run one; DATA is its folder.")] = "",
) -> None:
    """Compare quantizers by accuracy, seconds and memory."""
    if only:
        work = OURS[only](Arena(bundle=Bundle.load(bundle), folder=data, images=images))
        start = time.process_time()
        (data / "quantized.onnx").write_bytes(work())
        print(time.process_time() - start)
        return
    found: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for arena in arenas(bundle, data, Path(folder), images):
            name = arena.bundle.manifest.model.name
            jury = Jury(arena)
            found[name] = []
            for contestant in contestants(nncf_python, modelopt_python):
                if re.search(names, contestant.name):
                    print(f"{name}: {contestant.name} ...", file=sys.stderr)
                    found[name].append(compete(contestant, arena, jury))
            if not as_json:
                print(f"{name}: {images} images to calibrate, {len(jury.reference)} to judge by\n")
                print(f"{show(found[name])}\n")
    if as_json:
        outcomes = {name: [asdict(each) for each in of_model] for name, of_model in found.items()}
        print(json.dumps({"images": images, "models": outcomes}, indent=2))
    else:
        print(GOALS)


if __name__ == "__main__":
    typer.run(main)
