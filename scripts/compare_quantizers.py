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

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray
from PIL import Image

from calibration.images import choose_images
from calibration.score import score_logits
from runtime.bundle import Bundle
from runtime.open_image import load_image
from runtime.table import text_table
from scripts.quantize_with_ours import PLACEMENTS, RECIPES
from scripts.quantize_with_peer import PEERS
from scripts.train_digits import split

HERE = Path(__file__).parent
OURS = [f"{recipe} {target}" for target in PLACEMENTS for recipe in RECIPES]
GOALS = "goals: SQNR at least 43 dB and above every peer's; drop at most 0.2 points; agreement\n\
at least 99.5 %; seconds below every peer's; peak memory at most 0.7 GB"


@dataclass(frozen=True, kw_only=True)
class Arena:
    """A model, what to calibrate it on and what to judge by."""

    bundle: Path
    data: Path
    """Has the folders train, to calibrate on, and test, to judge by."""
    images: int
    """To calibrate on."""
    folder: Path
    """For what contestants write, and read: `save_images` writes it."""

    def save_images(self) -> None:
        """Preprocess the images to calibrate on, for those that cannot read files."""
        files, _ = choose_images(self.data / "train", self.images)
        spec = Bundle.load(self.bundle).manifest.image
        np.save(self.folder / "images.npy", np.stack([load_image(f.path, spec) for f in files]))


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A quantizer, and which Python has it."""

    name: str
    python: str
    """"" if none was named."""
    ours: bool

    @property
    def for_tensorrt(self) -> bool:
        """Whether its graphs are laid out for TensorRT, not for ONNX Runtime."""
        return "tensorrt" in self.name or "ModelOpt" in self.name

    def quantize(self, arena: Arena, output: Path) -> tuple[float, float]:
        """Write the quantized model; return the processor time in s, and the peak memory in MiB.

        Raises:
            subprocess.CalledProcessError: if it fails.
        """
        given = [str(arena.bundle / "model.onnx"), str(arena.folder / "images.npy")]
        if self.ours:
            given = [str(arena.bundle), str(arena.data / "train"), str(arena.images)]
        script = HERE / f"quantize_with_{'ours' if self.ours else 'peer'}.py"
        run = subprocess.run(
            [self.python, script, self.name, *given, output],
            capture_output=True,
            text=True,
            check=True,
        )
        *_, seconds, peak_mib = run.stdout.split()
        return float(seconds), float(peak_mib)


def contestants(nncf: str, modelopt: str) -> list[Contestant]:
    """Return who takes part, given the Pythons that have NNCF and ModelOpt."""
    pythons = {"onnxruntime": sys.executable, "NNCF": nncf, "ModelOpt": modelopt}
    ours = [Contestant(name=name, python=sys.executable, ours=True) for name in OURS]
    return ours + [
        Contestant(name=name, python=pythons[name.split()[0]], ours=False) for name in PEERS
    ]


class Jury:
    """Images that no contestant has seen, and what the float32 model says of them."""

    def __init__(self, arena: Arena) -> None:
        manifest = Bundle.load(arena.bundle).manifest
        files, _ = choose_images(arena.data / "test", 10**6)
        names, labels = [file.path.parent.name for file in files], list(manifest.labels)
        known = set(names) <= set(labels)
        self.images = {
            layout: np.stack([load_image(file.path, manifest.image, layout) for file in files])
            for layout in ("", "NCHW")
        }
        self.classes = np.array([labels.index(name) for name in names]) if known else None
        self.reference = self._logits(arena.bundle / "model.onnx", as_written=True)

    def judge(self, model: Path, *, as_written: bool) -> list[str]:
        """Return SQNR in decibel, the drop of top-1 in points, and agreement in percent."""
        logits = self._logits(model, as_written=as_written)
        found = score_logits(self.reference, logits)
        drop = "-"
        if self.classes is not None:
            before, after = (each.argmax(1) == self.classes for each in (self.reference, logits))
            drop = f"{100 * (before.mean() - after.mean()):+.2f}"
        return [f"{found.sqnr_db:.1f}", drop, f"{100 * found.top1_agreement:.2f}"]

    def _logits(self, model: Path, *, as_written: bool) -> NDArray[np.float32]:
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


def compete(contestant: Contestant, arena: Arena, jury: Jury) -> list[str]:
    """Return the contestant's line of the table; or its name, and why it has no figures."""
    name = f"{'ours ' if contestant.ours else ''}{contestant.name}"
    if not contestant.python:
        return [name, "no Python that has it was named"]
    output = arena.folder / "quantized.onnx"
    try:
        seconds, peak_mib = contestant.quantize(arena, output)
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.strip()]
        return [name, said[-1][:200] if said else f"exit status {error.returncode}"]
    judged = jury.judge(output, as_written=contestant.for_tensorrt)
    return [name, *judged, f"{seconds:.2f}", f"{peak_mib:.0f}"]


def show(lines: Sequence[Sequence[str]]) -> str:
    """Return the table, and below it who could not take part."""
    header = ["quantizer", "SQNR dB", "drop", "same top-1 %", "cpu s", "peak MiB"]
    table = text_table(header, [line for line in lines if len(line) == len(header)])
    return "\n".join([table, *(": ".join(line) for line in lines if len(line) == 2)])


def arenas(bundle: Path, data: Path, folder: Path, images: int) -> Iterator[Arena]:
    """Yield the bundle on its data, and the embedded digits classifier on scans."""
    yield Arena(bundle=bundle, data=data, images=images, folder=folder)
    digits, scans = folder / "digits", folder / "scans"
    words = ["resnet20-digits", "--onnx", "--parity-budget", "1", "--output", str(digits)]
    command = [sys.executable, "-m", "export", *words]
    subprocess.run(command, check=True, capture_output=True, cwd=HERE.parent)
    write_digits(scans)
    yield Arena(bundle=digits, data=scans, images=images, folder=folder)


def write_digits(folder: Path) -> None:
    """Write the scans, as PNG files: train/CLASS/0000.png ... and test/..., one third held out."""
    digits = split(seed=0)  # which the classifier was trained on
    for part, chosen in (("test", digits.held_out), ("train", digits.training)):
        for index in chosen:
            path = folder / part / str(digits.labels[index]) / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.scans[index]).save(path)


def main(
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export auto --weights ...")],
    data: Annotated[Path, typer.Argument(help="Made by scripts/prepare_elpv.py: train and test.")],
    images: Annotated[int, typer.Option(min=40, help="To calibrate on.")] = 256,
    nncf_python: Annotated[str, typer.Option(help="A Python that has NNCF.")] = "",
    modelopt_python: Annotated[str, typer.Option(help="A Python that has ModelOpt.")] = "",
    names: Annotated[str, typer.Option(help="Only whom this pattern finds.")] = "",
) -> None:
    """Compare quantizers by accuracy, seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        for arena in arenas(bundle, data, Path(folder), images):
            arena.save_images()
            jury, lines = Jury(arena), []
            for contestant in contestants(nncf_python, modelopt_python):
                if re.search(names, contestant.name):
                    print(f"{arena.bundle.name}: {contestant.name} ...", file=sys.stderr)
                    lines.append(compete(contestant, arena, jury))
            judged_by = len(jury.reference)
            print(f"{arena.bundle.name}: {images} images to calibrate, {judged_by} to judge by\n")
            print(f"{show(lines)}\n")
    print(GOALS)


if __name__ == "__main__":
    typer.run(main)
