"""Scores every image of a tree, list or table with a bundle's model, once; see runtime.scoring."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.feed import check_classifier
from runtime.scoring.check_arrow import check_arrow
from runtime.scoring.find_inputs import find_inputs
from runtime.scoring.inputs import Inputs
from runtime.scoring.partition import Partition, choose_size, cut
from runtime.scoring.run_folder import Run, RunFolder, open_run_folder
from runtime.scoring.score_chunk import Job
from runtime.scoring.tally import Tally, merge
from runtime.terminal import Screen

__all__ = ["ScoreReport", "ScoreRequest", "score"]


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What is to be scored, and how.

    Raises:
        OptionError: if a number is less than 1, or one process is to work on a cluster.
    """

    images: str
    """A folder, pattern, list or table; see `find_inputs`."""
    variant: str = "fp32"
    column: str = ""
    """Of a table; empty to look for one."""
    top: int = 5
    """How many classes of each image."""
    batch: int = 32
    """How many images the model is given at once; a model of fixed batch takes its own."""
    local: bool = False
    """In this process, without Ray."""
    address: str = ""
    """Of a cluster of Ray; empty for this machine."""

    def __post_init__(self) -> None:
        if min(self.top, self.batch) < 1:
            raise OptionError(f"given top {self.top}, batch {self.batch}; expected at least 1 each")
        if self.local and self.address:
            raise OptionError("--local is one process of this machine; leave --address out")


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """What became of a run, earlier calls included."""

    tally: Tally
    partitions: int
    resumed: int
    """How many partitions were done before."""
    scored: int
    """How many images this call scored."""
    seconds: float
    """What it took to score them, the opening of the model or of Ray included."""


def score(bundle: Bundle, request: ScoreRequest, output: Path, screen: Screen) -> ScoreReport:
    """Score all images into a folder of parquet files; go on where an earlier call was stopped.

    Raises:
        OptionError: if nothing can be scored, or the folder holds something else.
        DeployError: if the model cannot be run; what was scored until then is kept.
    """
    check_arrow()
    check_classifier(bundle.variant(request.variant), bundle.manifest)
    with open_run_folder(output) as folder:
        with screen.step("list") as step:
            inputs, run = _begin(bundle, request, folder)
            partitions = cut(inputs.files, run.partition_images)
            tallies = {p.number: t for p in partitions if (t := folder.find(p))}
            pending = [p for p in partitions if p.number not in tallies]
            plural = "s" * (len(partitions) != 1)
            step.detail = f"{inputs.images:,} images in {len(partitions):,} partition{plural}"
            if tallies:
                step.detail += f", {len(tallies):,} of them done already"
        job = Job(
            bundle=dataclasses.replace(bundle, folder=bundle.folder.absolute()),
            variant=request.variant,
            inputs=inputs,
            root=run.root,
            top=request.top,
            batch=request.batch,
        )
        start = time.perf_counter()
        images = sum(partition.rows for partition in pending)
        with screen.step("score") as step, screen.progress("score", images) as advance:
            step.detail = f"{images:,} images"
            with contextlib.closing(_score(job, pending, request)) as scored:
                for partition, data in scored:
                    tallies[partition.number] = folder.publish(partition, data)
                    for _ in range(partition.rows):
                        advance()
        return ScoreReport(
            tally=merge(tallies[partition.number] for partition in partitions),
            partitions=len(partitions),
            resumed=len(partitions) - len(pending),
            scored=images,
            seconds=time.perf_counter() - start,
        )


def _begin(bundle: Bundle, request: ScoreRequest, folder: RunFolder) -> tuple[Inputs, Run]:
    inputs = find_inputs(request.images, request.column, folder.draft)
    tables = Path(request.images).resolve()
    if not folder.draft.exists() and tables in folder.folder.resolve().parents:
        raise OptionError(
            f"'{folder.folder}' lies in '{request.images}', whose tables are the input; "
            "choose another --output"
        )
    run = folder.begin(_describe(bundle, request, inputs))
    return folder.keep(inputs), run


def _score(
    job: Job, partitions: list[Partition], request: ScoreRequest
) -> Generator[tuple[Partition, bytes]]:
    if not partitions:
        return
    if request.local:
        from runtime.scoring.score_locally import score_locally

        yield from score_locally(job, partitions)
    else:
        from runtime.scoring.score_on_ray import score_on_ray

        yield from score_on_ray(job, partitions, request.address)


def _describe(bundle: Bundle, request: ScoreRequest, inputs: Inputs) -> Run:
    manifest = bundle.manifest
    file = bundle.variant(request.variant).file
    labels = "\0".join(manifest.labels)
    return Run(
        model=manifest.model.name,
        variant=request.variant,
        model_sha256=manifest.files[file].sha256,
        preprocessing=manifest.image,
        pixels=manifest.pixels,
        labels_sha256=hashlib.sha256(labels.encode()).hexdigest(),
        top=request.top,
        images=inputs.images,
        images_sha256=inputs.sha256,
        column=inputs.column,
        partition_images=choose_size(inputs.images),
        root=os.getcwd(),
    )
