"""Evaluates a bundle's variants on labelled images: each image is decoded once, for all of them.

Threads decode the next images while the variants take turns on the last ones. Memory holds a few
images and 40 bytes for each image and variant. What was answered is on the disk at once, so that a
run that is killed goes on where it stood.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle import Bundle
from runtime.engines.open_engine import find_engine, open_engine
from runtime.errors import BackendError, ImageError, OptionError
from runtime.evaluation.answers import AnswerFile, Answers, top_classes
from runtime.evaluation.answers_key import answers_key
from runtime.evaluation.dataset import Dataset
from runtime.evaluation.document import Evaluation
from runtime.evaluation.match_labels import match_labels
from runtime.evaluation.summarize import Subject, summarize
from runtime.feed import Chunk, check_classifier, fixed_batch, load_ahead, run_chunk
from runtime.open_runner import open_runner
from runtime.providers import check_provider
from runtime.publishing.replace_file import check_replaceable, replace_file
from runtime.runner import Runner
from runtime.schema import to_json
from runtime.terminal import Screen, three_digits

__all__ = ["Request", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What shall be evaluated, and how it shall run.

    Raises:
        OptionError: if a number is out of range, or there is no such provider.
    """

    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    """If neither is named: every variant, and every engine that runs here."""
    labels: tuple[str, ...] = ()
    """One per class, instead of the model's own; for one that has none."""
    provider: str = "cpu"
    batch: int = 8
    threads: int = 0
    """Of one run on the processor; 0 leaves it to the provider."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.threads < 0:
            raise OptionError(
                f"given batch {self.batch}, threads {self.threads}; expected at least 1 and 0"
            )
        check_provider(self.provider)


def evaluate(
    bundle: Bundle, dataset: Dataset, request: Request, output: Path, screen: Screen
) -> Evaluation:
    """Evaluate the variants and write what was found to the output file.

    Raises:
        OptionError: if there is no such variant or engine, the model is no classifier of images, or
            lacks a label of the data.
        BundleError: if a model is not what was published, or the output cannot be written.
        BackendError: if a model cannot run as asked.
        ImageError: if no image can be read.
    """
    manifest = bundle.manifest
    labels = request.labels or manifest.labels
    indices, labels_as = match_labels(dataset.labels(), labels, manifest.model.classes)
    truths = np.array([indices[example.label] for example in dataset.examples], np.int32)
    check_replaceable(output)
    with contextlib.ExitStack() as held:
        runners, left_out = _open(bundle, request, held, screen)
        key = answers_key(
            bundle, dataset, truths.tobytes(), {n: r.name for n, r in runners.items()}
        )
        answers = Answers.of(len(truths), list(runners), manifest.model.classes)
        file = held.enter_context(AnswerFile(output.with_name(f"{output.name}.answers"), key))
        taken = file.take_up(answers)
        if taken:
            screen.note(f"going on after {taken} images, answered before a kill")
        with screen.step("evaluate") as step:
            start = time.perf_counter()
            _answer(bundle, dataset, runners, request.batch, _Sink(file, answers), screen)
            pace = (len(truths) - taken) / (time.perf_counter() - start)
            done = f"{len(truths) - taken} images, {three_digits(pace)}/s"
            step.detail = f"{done} in {', '.join(runners)}"
        if len(answers.errors) == len(truths):
            file.remove()
            raise ImageError(f"none of {len(truths)} images could be read: {answers.errors[0]}")
        subject = Subject(
            bundle=bundle,
            dataset=dataset,
            labels=tuple(labels) or tuple(map(str, range(manifest.model.classes))),
            labels_as=labels_as,
            truths=truths,
            runners={name: runner.name for name, runner in runners.items()},
        )
        found = dataclasses.replace(summarize(subject, answers, key), left_out=left_out)
        replace_file(output, to_json(found))
        file.remove()
    return found


@dataclass(frozen=True)
class _Sink:
    file: AnswerFile
    answers: Answers


def _answer(
    bundle: Bundle,
    dataset: Dataset,
    runners: Mapping[str, Runner],
    batch: int,
    sink: _Sink,
    screen: Screen,
) -> None:
    """Answer the images that are not answered yet."""
    todo = np.flatnonzero(~sink.answers.seen).tolist()
    fixed = fixed_batch(bundle.manifest.variants["fp32"])
    paths = [dataset.examples[index].path for index in todo]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with screen.progress("evaluate", len(todo)) as advance:
            done = 0
            for chunk in load_ahead(paths, bundle.manifest, fixed or batch, pool):
                indices = todo[done : done + len(chunk)]
                sink.file.append(sink.answers, list(_lines(runners, indices, chunk, fixed)))
                for _, loaded in chunk:
                    if isinstance(loaded, ImageError):
                        screen.warn(f"skipped {loaded}")
                    advance()
                done += len(chunk)
    finally:
        # Not waited for: Ctrl-C can leave the pool's own locks held, and then it never ends.
        pool.shutdown(wait=False, cancel_futures=True)


def _lines(
    runners: Mapping[str, Runner], indices: Sequence[int], chunk: Chunk, fixed: int
) -> Iterator[dict[str, Any]]:
    """Yield a line of the answer file for each image of the chunk."""
    ranked = {}
    for name, runner in runners.items():
        logits = run_chunk(runner, chunk, fixed)
        ranked[name] = iter([] if logits is None else top_classes(logits))
    for index, (_, loaded) in zip(indices, chunk, strict=True):
        if isinstance(loaded, ImageError):
            yield {"image": index, "error": str(loaded)}
        else:
            yield {"image": index, "answers": {name: next(rows) for name, rows in ranked.items()}}


def _open(
    bundle: Bundle, request: Request, held: contextlib.ExitStack, screen: Screen
) -> tuple[dict[str, Runner], dict[str, str]]:
    """Return the runners by name, and the engines that do not run here with the reason."""
    everything = not request.variants and not request.engines
    variants = request.variants or (tuple(bundle.manifest.variants) if everything else ())
    runners: dict[str, Runner] = {}
    left_out: dict[str, str] = {}
    for name in variants:
        check_classifier(bundle.variant(name), bundle.manifest)
        runner = open_runner(bundle, name, request.provider, threads=request.threads)
        for note in runner.notes:
            screen.warn(note)
        runners[name] = runner
    for name in request.engines:
        check_classifier(bundle.variant(find_engine(bundle, name).variant), bundle.manifest)
        runners[name] = held.enter_context(open_engine(bundle, name))
    for name in bundle.manifest.engines if everything else ():
        try:
            runners[name] = held.enter_context(open_engine(bundle, name))
        except BackendError as error:
            left_out[name] = str(error)
            screen.warn(f"engine {name} is left out: {error}")
    return runners, left_out
