"""Compares `runtime.preprocess` with torchvision's PIL pipeline, image for image, in one run.

The images are one photograph at several sizes, as JPEG files. "decoded" begins with the decoded
image; "file" begins with the file and is ours with everything `load_image` checks on the way. The
two take turns, so that a drifting machine favours none, and the median of the rounds counts. Every
pair of results is compared bit for bit: one difference, and the exit status is 1.

torch gets one thread: more make it slower here, since every step is over in microseconds. Peak
memory is that of a process which does nothing but load the largest file, its imports included.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from torchvision import transforms

from runtime.image_spec import ImageSpec
from runtime.open_image import load_image, open_image
from runtime.preprocess import preprocess

PHOTOGRAPH = Path(__file__).parents[1] / "export" / "samples" / "photographs" / "china.jpg"
SIZES = ((320, 240), (640, 427), (1600, 1200), (4032, 3024))
SPEC = ImageSpec(resize=232, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

TORCHVISION = transforms.Compose(
    [
        transforms.Resize(SPEC.resize, transforms.InterpolationMode(SPEC.interpolation)),
        transforms.CenterCrop(SPEC.crop),
        transforms.ToTensor(),
        transforms.Normalize(SPEC.mean, SPEC.std),
    ]
)

# The kernel's own count of this process alone: getrusage in the parent would count the parent too.
REPORT = "print([line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line][0])"
PROCESSES = {
    "ours": f"""
import sys
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image
load_image(sys.argv[1], {SPEC!r})
{REPORT}
""",
    "torchvision": f"""
import sys
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
steps = [Resize({SPEC.resize}), CenterCrop({SPEC.crop}), ToTensor()]
Compose([*steps, Normalize({SPEC.mean}, {SPEC.std})])(Image.open(sys.argv[1]).convert("RGB"))
{REPORT}
""",
}

Planes = NDArray[np.float32 | np.uint8]


def transform(image: Image.Image) -> Planes:
    """Return what torchvision makes of the image."""
    planes: Planes = TORCHVISION(image).numpy()
    return planes


def transform_file(path: Path) -> Planes:
    """Return what torchvision makes of the file, read as its ImageFolder does."""
    with Image.open(path) as image:
        return transform(image.convert("RGB"))


def take_turns(
    ours: Callable[[], Planes], theirs: Callable[[], Planes], rounds: int
) -> dict[str, float | bool]:
    """Return the median milliseconds of both, and whether they agreed bit for bit."""
    milliseconds: tuple[list[float], list[float]] = ([], [])
    results = []
    for _ in range(rounds + 1):  # the first warms up
        for times, work in zip(milliseconds, (ours, theirs), strict=True):
            start = time.perf_counter()
            results.append(work())
            times.append((time.perf_counter() - start) * 1e3)
    ours_ms, theirs_ms = (statistics.median(times[1:]) for times in milliseconds)
    equal = all(result.tobytes() == results[0].tobytes() for result in results)
    return {
        "ours_ms": ours_ms,
        "torchvision_ms": theirs_ms,
        "ratio": ours_ms / theirs_ms,
        "bit_equal": equal,
    }


def compare(rounds: int, folder: Path) -> dict[str, dict[str, float | bool]]:
    """Return the comparison at every size, from the decoded image and from the file."""
    found = {}
    for width, height in SIZES:
        path = folder / f"{width}x{height}.jpg"
        with Image.open(PHOTOGRAPH) as photograph:
            photograph.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
        image = open_image(path)
        found[f"{width}x{height} decoded"] = take_turns(
            partial(preprocess, image, SPEC), partial(transform, image), rounds
        )
        found[f"{width}x{height} file"] = take_turns(
            partial(load_image, path, SPEC), partial(transform_file, path), rounds
        )
    return found


def peak_mib(code: str, path: Path) -> float:
    """Return the resident peak of a process that runs the code on the file."""
    child = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(child.stdout) / 1024


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Compare preprocessing with torchvision's; exit 1 if a bit differs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(rounds, Path(folder))
        largest = Path(folder) / "{}x{}.jpg".format(*SIZES[-1])
        memory = {name: peak_mib(code, largest) for name, code in PROCESSES.items()}
    if as_json:
        print(json.dumps({"images": found, "peak_mib": memory}, indent=2))
    else:
        table = Table("image", "ours ms", "torchvision ms", "ratio", "bit-equal")
        for name, row in found.items():
            numbers = (f"{row['ours_ms']:.2f}", f"{row['torchvision_ms']:.2f}")
            table.add_row(
                name, *numbers, f"{row['ratio']:.2f}", "yes" if row["bit_equal"] else "NO"
            )
        Console().print(table)
        print("peak MiB: " + ", ".join(f"{name} {mib:.0f}" for name, mib in memory.items()))
    if not all(row["bit_equal"] for row in found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
