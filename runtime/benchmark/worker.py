"""A process that runs one model, whenever it is told to, and says how long that took.

    argv    what to open, as JSON
    stdout  {"opened": ...} once it is open, or {"error": ..., "kind": ...}
    stdin   {"shape": [8, 3, 224, 224], "dtype": "float32", "warm": true, ...}, a line each time
    stdout  {"ms": [...], "peak_mib": ...}, a line for each

A process for each model, because its memory is told apart no other way, and because the threads of
one library would be in the way of another's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np

from runtime.benchmark.timing import Pace, peak_mib, time_window, warm_up
from runtime.bundle import Bundle
from runtime.errors import DeployError
from runtime.runner import Images

__all__ = ["Model", "Subject", "serve"]

Run: TypeAlias = Callable[[Images], object]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a worker opens."""

    bundle: str
    name: str
    """Of a variant, or of an engine."""
    engine: bool = False
    provider: str = "cpu"
    threads: int = 0
    """0 leaves it to the backend."""
    bare: bool = False
    """Whether to run it with nothing but ONNX Runtime, for comparison."""

    @property
    def command(self) -> list[str]:
        """What starts a worker that opens it."""
        words = json.dumps(dataclasses.asdict(self))
        return [sys.executable, "-m", "runtime.benchmark.worker", words]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that is open."""

    run: Run
    name: str
    """What runs it."""
    notes: tuple[str, ...] = ()


def serve(open_model: Callable[[], Model]) -> int:
    """Open a model, answer the lines on stdin until there are no more, and return an exit status.

    Imports belong before this call, into the module or the function that makes `open_model`: what
    is timed as loading is what `open_model` does.
    """
    with _own_stdout() as answers:
        try:
            start = time.perf_counter()
            model = open_model()
            load_ms = (time.perf_counter() - start) * 1000
            opened = {"runner": model.name, "load_ms": load_ms, "notes": model.notes}
            _say(answers, {"opened": opened})
            for line in sys.stdin:
                _say(answers, _answer(model, json.loads(line)))
        except DeployError as error:
            _say(answers, _complaint(error))
            return error.exit_status
    return 0


def _answer(model: Model, order: dict[str, Any]) -> dict[str, Any]:
    images = _images(order["shape"], order["dtype"])
    pace = Pace(**order["pace"])

    def run() -> object:
        return model.run(images)

    taken: list[float] = []
    if order["warm"]:
        warm_up(run, pace)
    else:
        taken = time_window(run, pace)
    return {"ms": taken, "peak_mib": peak_mib()}


def _images(shape: list[int], dtype: str) -> Images:
    """Return random images: what they show changes nothing, but zeros would be a special case."""
    rng = np.random.default_rng(0)
    if dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape, np.float32)


@contextlib.contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Yield what was stdout, which from now on is stderr: native libraries may print."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        yield answers


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _complaint(error: DeployError) -> dict[str, Any]:
    return {"error": str(error), "kind": type(error).__name__}


def _open(subject: Subject) -> Callable[[], Model]:
    if subject.bare:
        return _open_bare(subject)
    bundle = Bundle.load(Path(subject.bundle))
    if subject.engine:
        return lambda: _open_engine(bundle, subject.name)
    import runtime.onnx_runner  # noqa: F401 (imports are no part of loading)
    from runtime.open_runner import open_runner

    def open_variant() -> Model:
        runner = open_runner(bundle, subject.name, subject.provider, threads=subject.threads)
        return Model(run=runner.logits, name=runner.name, notes=runner.notes)

    return open_variant


def _open_engine(bundle: Bundle, name: str) -> Model:
    from runtime.engines.open_engine import open_engine

    runner = open_engine(bundle, name)
    return Model(run=runner.logits, name=runner.name)


def _open_bare(subject: Subject) -> Callable[[], Model]:
    """Return what opens the model as a short script would."""
    import onnxruntime

    from runtime.plugin_provider import add_plugin
    from runtime.providers import PROVIDERS, settings

    provider = PROVIDERS[subject.provider]
    manifest = json.loads((Path(subject.bundle) / "manifest.json").read_bytes())
    path = Path(subject.bundle) / manifest["variants"][subject.name]["file"]

    def open_session() -> Model:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = subject.threads
        if provider.plugin:
            chosen = settings(provider, path, subject.threads)
            add_plugin(options, subject.provider, provider, chosen)
        named = [] if provider.plugin else [provider.native_name]
        session = onnxruntime.InferenceSession(path, options, providers=named)
        name = session.get_inputs()[0].name
        return Model(run=lambda images: session.run(None, {name: images}), name="onnxruntime")

    return open_session


if __name__ == "__main__":
    try:
        opener = _open(Subject(**json.loads(sys.argv[1])))
    except DeployError as error:
        _say(sys.stdout, _complaint(error))
        sys.exit(error.exit_status)
    sys.exit(serve(opener))
