"""Compares `python -m runtime score` with the best loop of one process, in one run.

The loop is ONNX Runtime with our own decoding and nothing else: no hash, no resume, no output. It
first tries its settings on a few images (one run on all cores that threads decode ahead for, or as
many runs at once as there are cores; batches of 8, 16 and 32) and then takes the fastest.

Every contestant scores few images and then many, each time as a new process. The pace is that of
the images the second run has more, so it does not depend on how long the runs are; what a start
costs is told beside it. Memory is the largest sum of the proportional set sizes of a contestant's
processes, which counts shared pages once; Ray's servers are among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from runtime.find_images import find_images
from runtime.table import text_table

SAMPLES = Path(__file__).parents[1] / "export/samples/photographs"
GOAL = 0.85
"""The least pace of score, with Ray and without, in units of the best loop's."""

LOOP = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from runtime.bundle import Bundle
from runtime.classify import classify
from runtime.open_image import load_image
from runtime.open_runner import open_runner
folder, listing, cores = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
bundle = Bundle.load(folder)
spec, pixels = bundle.manifest.image, bundle.manifest.pixels
paths = listing.read_text().splitlines()
cut = lambda paths, size: [paths[i : i + size] for i in range(0, len(paths), size)]
load = lambda path: load_image(path, spec, pixels)
def ahead(paths, batch):
    runner, chunks = open_runner(bundle, threads=cores), cut(paths, batch)
    with ThreadPoolExecutor(cores) as pool:
        following = pool.map(load, chunks[0])
        for index in range(len(chunks)):
            current = list(following)
            following = pool.map(load, chunks[index + 1]) if index + 1 < len(chunks) else []
            classify(runner.logits(np.stack(current)))
def abreast(paths, batch):
    runner = open_runner(bundle, threads=1)
    with ThreadPoolExecutor(cores) as pool:
        run = lambda chunk: classify(runner.logits(np.stack([load(path) for path in chunk])))
        list(pool.map(run, cut(paths, batch)))
def seconds(loop, paths, batch):
    start = time.perf_counter()
    loop(paths, batch)
    return time.perf_counter() - start
if len(sys.argv) > 4:
    {"ahead": ahead, "abreast": abreast}[sys.argv[4]](paths, int(sys.argv[5]))
else:
    tries = [(loop, batch) for loop in (ahead, abreast) for batch in (8, 16, 32)]
    loop, batch = min(tries, key=lambda each: seconds(each[0], paths, each[1]))
    print(loop.__name__, batch)
"""


@dataclass
class Contestant:
    """One way to score, and what it cost so far."""

    name: str
    command: list[str]
    """"LIST" and "OUTPUT" in it are replaced."""
    seconds: list[float] = field(default_factory=list)
    """Of few images, and of many."""
    peak_mib: float = 0.0

    def run(self, listing: Path, output: Path) -> None:
        """Score once, in processes of its own."""
        names = {"LIST": str(listing), "OUTPUT": str(output)}
        command = [names.get(word, word) for word in self.command]
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        watcher = threading.Thread(target=self._watch, args=(child,))
        watcher.start()
        if child.wait():
            raise SystemExit(f"{self.name} failed")
        self.seconds.append(time.perf_counter() - start)
        watcher.join()

    def pace(self, more: int) -> float:
        """Return images a second, given how many more the second run had."""
        return more / (self.seconds[1] - self.seconds[0])

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None:
            self.peak_mib = max(self.peak_mib, memory_mib(child.pid))
            time.sleep(0.2)


def memory_mib(process: int) -> float:
    """Return the proportional set size of a process and of all below it."""
    parents, sizes = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(stat[1])
        except OSError:  # it has ended
            continue
    family = {process}
    for _ in range(8):  # deeper than Ray's processes lie
        family |= {child for child, parent in parents.items() if parent in family}
    for member in family:
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes[member] = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return sum(sizes.values()) / 1024


def compare(bundle: Path, images: Path, few: int, many: int) -> list[Contestant]:
    """Return the contestants, the loop first, after both of their runs."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = [str(path.absolute()) for path in find_images([images])]
        listings = []
        for count in (few, many):
            listings.append(folder / f"{count}.txt")
            listings[-1].write_text("\n".join((names * (count // len(names) + 1))[:count]))
        loop = [sys.executable, "-c", LOOP, str(bundle), "LIST", str(cores)]
        trial = [word.replace("LIST", str(listings[0])) for word in loop]
        best = subprocess.run(trial, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        score = [sys.executable, "-m", "runtime", "score", str(bundle), "--quiet"]
        score += ["--images", "LIST", "--output", "OUTPUT"]
        contestants = [
            Contestant(f"loop, {best[0]}, batch {best[1]}", [*loop, *best]),
            Contestant("score --local", [*score, "--local"]),
            Contestant("score, on Ray", score),
        ]
        for listing in listings:
            for number, contestant in enumerate(contestants):
                contestant.run(listing, folder / f"{listing.stem}-{number}")
    return contestants


def main(
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export resnet18 --onnx.")],
    images: Annotated[Path, typer.Option(help="Repeated as often as it takes.")] = SAMPLES,
    few: Annotated[int, typer.Option(min=64)] = 256,
    many: Annotated[int, typer.Option(min=128)] = 1536,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the pace of scoring with that of the best loop of one process."""
    contestants = compare(bundle, images, few, many)
    cores = len(os.sched_getaffinity(0))
    more = many - few
    paces = [contestant.pace(more) for contestant in contestants]
    if as_json:
        entries = [{**asdict(c), "pace": p} for c, p in zip(contestants, paces, strict=True)]
        print(json.dumps({"cores": cores, "contestants": entries}, indent=2))
    else:
        rows = [
            (
                contestant.name,
                f"{pace / cores:,.1f}",
                f"{pace / paces[0]:.2f}",
                f"{contestant.seconds[1] - many / pace:.1f}",
                f"{contestant.peak_mib:.0f}",
            )
            for contestant, pace in zip(contestants, paces, strict=True)
        ]
        header = ("contestant", "images/s a core", "ratio", "start s", "peak MiB")
        print(text_table(header, rows))
        print(f"ratio to the loop; goal: at least {GOAL}")
    sys.exit(min(paces) < GOAL * paces[0])


if __name__ == "__main__":
    typer.run(main)
