"""Compares `python -m runtime classify` with a bare script that does the same, in one run.

The bare script is the least that names what is in a photograph: Pillow and numpy for the input, an
ONNX Runtime session of the model's path, the five largest logits. It checks nothing: no hash, no
manifest, no EXIF orientation. Both run as whole processes, imports included, on the same JPEG of
1600x1200 pixels made from a real photograph. They take turns, so that a drifting machine favours
none, and the median of the rounds counts. Memory is the resident peak.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from runtime.table import text_table
from scripts.contestant import Contestant

PHOTOGRAPH = Path(__file__).parents[1] / "export/samples/photographs/china.jpg"
SIZE = (1600, 1200)
GOAL = 1.3
"""The most that classify may take, in units of the bare script's time."""

BARE = """
import sys, json
import numpy as np, onnxruntime
from PIL import Image
folder, photograph = sys.argv[1:]
manifest = json.load(open(f"{folder}/manifest.json"))
spec, labels = manifest["image"], manifest["labels"]
image = Image.open(photograph).convert("RGB")
scale = spec["resize"] / min(image.size)
image = image.resize([int(side * scale) for side in image.size], Image.Resampling.BILINEAR)
left, top = [round((side - spec["crop"]) / 2) for side in image.size]
image = image.crop((left, top, left + spec["crop"], top + spec["crop"]))
pixels = np.asarray(image, np.float32) / 255
pixels = (pixels - np.float32(spec["mean"])) / np.float32(spec["std"])
session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
logits = session.run(None, {session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})[0][0]
probabilities = np.exp(logits - logits.max())
probabilities /= probabilities.sum()
for index in np.argsort(-logits)[:5]:
    print(f"{labels[index] if labels else index} {probabilities[index]:.2%}")
"""


def compare(bundle: Path, rounds: int) -> tuple[Contestant, Contestant]:
    """Return both contestants, ours first, after the given number of rounds and one to warm up.

    Raises:
        SystemExit: if they disagree on what is in the photograph.
    """
    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder) / "photograph.jpg"
        Image.open(PHOTOGRAPH).resize(SIZE, Image.Resampling.BICUBIC).save(photograph, quality=90)
        arguments = [str(bundle), str(photograph)]
        ours = Contestant("classify", [sys.executable, "-m", "runtime", "classify", *arguments])
        bare = Contestant("bare script", [sys.executable, "-c", BARE, *arguments])
        for _ in range(rounds + 1):
            words = _words(ours.run())
            differing = [word for word in bare.run().splitlines() if word not in words]
            if differing:
                raise SystemExit(f"the two disagree; only the bare script says {differing[0]}")
    del ours.seconds[0], bare.seconds[0]  # the first reads the files from the disk
    return ours, bare


def _words(table: str) -> list[str]:
    """Return class and probability of each row, with one space between."""
    rows = (line.split() for line in table.splitlines()[2:])
    return [" ".join(row[1:] if index == 0 else row) for index, row in enumerate(rows)]


def main(
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export resnet18 --onnx.")],
    rounds: Annotated[int, typer.Option(min=1)] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the whole process of classifying one photograph."""
    ours, bare = compare(bundle, rounds)
    ratio = statistics.median(ours.seconds) / statistics.median(bare.seconds)
    if as_json:
        print(json.dumps({"ratio": ratio, "contestants": [vars(ours), vars(bare)]}, indent=2))
    else:
        rows = [
            (c.name, f"{statistics.median(c.seconds):.3f}", f"{c.peak_mib:.0f}")
            for c in (ours, bare)
        ]
        print(text_table(("whole process", "seconds", "peak MiB"), rows))
        print(f"ratio {ratio:.2f}; goal: at most {GOAL}")
    sys.exit(ratio > GOAL)


if __name__ == "__main__":
    typer.run(main)
