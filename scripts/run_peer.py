"""Runs a ResNet in another runtime, window by window, as compare_runtimes.py asks.

    python run_peer.py '{"contestant": "ONNX Runtime", "model": "resnet18", ...}'

Requests and answers are those of `runtime.benchmark.worker`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.benchmark.worker import Model, serve
from runtime.errors import BackendError, BackendMissingError
from runtime.runner import Images


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a contestant's process runs."""

    contestant: str
    model: str
    channels: int
    onnx: str
    """Path of what torch.onnx.export made of the model."""
    quantized: str
    """Path of what NNCF made of that."""
    threads: int


def open_eager(subject: Subject) -> Callable[[], Model]:
    """Return what loads the torch module."""
    import torch

    module = _module(subject.model, subject.channels, subject.threads)

    def run(images: Images) -> object:
        with torch.inference_mode():
            return module(torch.from_numpy(images)).numpy()

    return lambda: Model(run=run, name=f"torch {torch.__version__}")


def open_compiled(subject: Subject) -> Callable[[], Model]:
    """Return what loads the torch module, to be compiled when it first runs."""
    import torch

    module: Any = torch.compile(
        _module(subject.model, subject.channels, subject.threads), dynamic=False
    )

    def run(images: Images) -> object:
        with torch.inference_mode():
            return module(torch.from_numpy(images)).numpy()

    return lambda: Model(run=run, name=f"torch.compile {torch.__version__}")


def open_onnxruntime(subject: Subject) -> Callable[[], Model]:
    """Return what opens a session as a script of five lines does."""
    import onnxruntime

    def open_session() -> Model:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = subject.threads
        session = onnxruntime.InferenceSession(
            subject.onnx, options, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        return Model(run=lambda images: session.run(None, {name: images}), name="onnxruntime")

    return open_session


def open_openvino(subject: Subject) -> Callable[[], Model]:
    """Return what compiles the model for OpenVINO, in float32."""
    return _open_openvino(subject.onnx, subject.threads, {"INFERENCE_PRECISION_HINT": "f32"})


def open_openvino_default(subject: Subject) -> Callable[[], Model]:
    """Return what compiles the model for OpenVINO, in the precision that it chooses."""
    return _open_openvino(subject.onnx, subject.threads, {})


def open_openvino_quantized(subject: Subject) -> Callable[[], Model]:
    """Return what compiles the model that NNCF quantized for OpenVINO."""
    if not subject.quantized:
        raise BackendMissingError("give the Python it is installed for: --nncf-python")
    return _open_openvino(subject.quantized, subject.threads, {})


def _open_openvino(onnx: str, threads: int, config: dict[str, str]) -> Callable[[], Model]:
    try:
        import openvino
    except ImportError:
        raise BackendMissingError("not installed; run: pip install openvino") from None
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        **config,
    }

    def compile_model() -> Model:
        compiled = openvino.Core().compile_model(onnx, "CPU", settings)
        request = compiled.create_infer_request()
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
        return Model(
            run=lambda images: request.infer([images], share_inputs=True),
            name=f"OpenVINO {openvino.__version__}, {precision}",
        )

    return compile_model


def _module(model: str, channels: int, threads: int) -> Any:  # noqa: ANN401 (torch is not imported yet)
    import torch

    from export.load import load
    from export.load_options import LoadOptions

    torch.set_num_threads(threads)
    # Speed does not depend on the weights.
    return load(model, LoadOptions(weights="random", channels=channels)).module.eval()


CONTESTANTS = {
    "PyTorch eager": open_eager,
    "torch.compile": open_compiled,
    "ONNX Runtime": open_onnxruntime,
    "OpenVINO": open_openvino,
    "OpenVINO default": open_openvino_default,
    "OpenVINO NNCF": open_openvino_quantized,
}


def main() -> int:
    """Serve the subject that the command line describes; return the exit status."""
    try:
        (words,) = sys.argv[1:]
        given = Subject(**json.loads(words))
        prepare = CONTESTANTS[given.contestant]
    except (ValueError, TypeError, KeyError):
        fields = ", ".join(field.name for field in dataclasses.fields(Subject))
        known = "|".join(CONTESTANTS)
        print(f"usage: run_peer.py JSON with {fields}; contestant: {known}", file=sys.stderr)
        return 2
    try:
        opener = prepare(given)
    except BackendError as missing:
        print(json.dumps({"error": str(missing), "kind": type(missing).__name__}))
        return 2
    return serve(opener)


if __name__ == "__main__":
    sys.exit(main())
