"""Describes a variant or an engine of a bundle as Triton wants to have it: a ModelConfig.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto

    max_batch_size N > 0    the graph's batch is dynamic; Triton makes batches; `dims` lack it
    max_batch_size 0        the graph's batch is fixed, and `dims` are its whole shape

The model is not ready before it has answered the bundle's golden images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from export.triton.pbtxt import Word, render
from export.triton.shapes import Shapes
from export.triton.warm_up import warm_up
from runtime.bundle import Bundle
from runtime.engines.open_engine import read_info
from runtime.errors import OptionError
from runtime.onnx_files.metadata_props import metadata_props

__all__ = ["ServeOptions", "Served", "describe"]

LABELS_FILE = "labels.txt"
_INT32_MAX = 2**31 - 1
"""Triton's configuration holds no more."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How Triton is to run a model.

    Raises:
        OptionError: if it cannot.
    """

    batch: int = 8
    """Images at once, at most; an engine's profile may allow fewer."""
    instances: int = 1
    """Copies of the model on each device."""
    queue: int = 64
    """Requests that wait, at most."""
    queue_delay_us: int = 0
    """How long a batch that is not full is held back, in microseconds."""

    def __post_init__(self) -> None:
        numbers = (self.batch, self.instances, self.queue, self.queue_delay_us)
        if min(numbers[:3]) < 1 or min(numbers) < 0 or max(numbers) > _INT32_MAX:
            raise OptionError(
                f"given batch {self.batch}, instances {self.instances}, queue {self.queue}, delay "
                f"{self.queue_delay_us} us; expected at least 1 each, no negative delay, and at "
                f"most {_INT32_MAX:,}"
            )


@dataclass(frozen=True, kw_only=True)
class Served:
    """One model of a repository: what is to lie in its folder."""

    platform: str
    """"onnxruntime_onnx" or "tensorrt_plan"."""
    source: str
    """The model's file in the bundle."""
    file: str
    """Its name in the repository: what Triton looks for in a version's folder."""
    config: str
    """config.pbtxt."""
    files: dict[str, bytes] = field(repr=False)
    """What lies beside it, by path: labels, inputs to warm up with."""
    needs: str
    """What must be on the machine that serves it, for a person."""


def describe(bundle: Bundle, version: str, name: str, options: ServeOptions) -> Served:
    """Return what Triton needs to serve a variant or an engine of a bundle.

    Args:
        bundle: where it is.
        version: the name of a variant or engine.
        name: of the model in the repository.
        options: how it is to run.

    Raises:
        OptionError: if there is none of that name, or Triton cannot run it.
        BundleError: if a file of it was altered.
    """
    if version in bundle.manifest.engines:
        return _describe_engine(bundle, version, name, options)
    variant = bundle.variant(version)
    kind = "KIND_CPU" if version == "int8.cpu" else "KIND_AUTO"
    shapes = Shapes(variant, None, options.batch)
    config, files = _config(bundle, name, options, shapes, "onnxruntime_onnx", kind)
    return Served(
        platform="onnxruntime_onnx",
        source=variant.file,
        file="model.onnx",
        config=config,
        files=files,
        needs=f"the ONNX Runtime backend, opset {variant.opset}",
    )


def _describe_engine(bundle: Bundle, version: str, name: str, options: ServeOptions) -> Served:
    engine = bundle.manifest.engines[version]
    info = read_info(bundle, engine)
    if info.flavour != "tensorrt":
        raise OptionError(
            f"the engine '{version}' is of TensorRT-RTX, which Triton has no backend for; leave it "
            "out, or build one: python -m runtime build"
        )
    variant = bundle.manifest.variants[engine.variant]
    profile = info.options.profiles[0] if info.options.profiles else None
    shapes = Shapes(variant, profile, options.batch)
    config, files = _config(bundle, name, options, shapes, "tensorrt_plan", "KIND_GPU")
    return Served(
        platform="tensorrt_plan",
        source=engine.file,
        file="model.plan",
        config=config,
        files=files,
        needs=f"TensorRT {info.version} exactly, on {', '.join(info.target_sms)}",
    )


def _config(
    bundle: Bundle, name: str, options: ServeOptions, shapes: Shapes, platform: str, kind: str
) -> tuple[str, dict[str, bytes]]:
    """Return config.pbtxt, and what lies beside it, by path."""
    manifest = bundle.manifest
    warm_ups, files = warm_up(bundle, shapes)
    outputs = shapes.outputs()
    if manifest.labels and not shapes.variant.more_outputs:
        # A label is a line to Triton.
        lines = [" ".join(label.split()) for label in manifest.labels]
        files[LABELS_FILE] = ("\n".join(lines) + "\n").encode()
        outputs[0] = {**outputs[0], "label_filename": LABELS_FILE}
    message: dict[str, object] = {
        "name": name,
        "platform": platform,
        "max_batch_size": 0 if shapes.is_fixed else shapes.largest_batch,
        "input": [shapes.input()],
        "output": outputs,
        "instance_group": [{"count": options.instances, "kind": Word(kind)}],
        "version_policy": {"latest": {"num_versions": 1}},
    }
    if not shapes.is_fixed:
        message["dynamic_batching"] = {
            "max_queue_delay_microseconds": options.queue_delay_us,
            "default_queue_policy": {"max_queue_size": options.queue},
        }
    if warm_ups:
        message["model_warmup"] = warm_ups
    told = metadata_props(manifest.image, manifest.labels, manifest.pixels)
    message["parameters"] = [
        {"key": key, "value": {"string_value": value}}
        for key, value in {**told, "resnet-deploy.weights": manifest.weights.sha256}.items()
        if key != "resnet-deploy.labels"  # they have a file
    ]
    return render(message), files
