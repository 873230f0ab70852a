"""Describes a variant or an engine of a bundle as Triton wants to have it: a ModelConfig.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto

    max_batch_size N > 0    the graph's batch is dynamic; Triton makes batches; `dims` lack it
    max_batch_size 0        the graph's batch is fixed, and `dims` are its whole shape

The model is not ready before it has answered the bundle's golden images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from export.triton.pbtxt import Message, Word, render
from runtime.bundle import Bundle
from runtime.engines.engine import EngineInfo
from runtime.engines.profile import Profile
from runtime.errors import OptionError
from runtime.manifest import TensorInfo, Variant, metadata_props
from runtime.onnx_files.tensor import read_tensor
from runtime.schema import from_json

__all__ = ["LABELS_FILE", "WARM_UP_FOLDER", "ServeOptions", "Served", "describe"]

LABELS_FILE = "labels.txt"
WARM_UP_FOLDER = "warmup"
"""Where Triton looks for `input_data_file`."""

_TYPES = {"float": "TYPE_FP32", "float16": "TYPE_FP16", "uint8": "TYPE_UINT8"}


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
        if min(self.batch, self.instances, self.queue) < 1 or self.queue_delay_us < 0:
            raise OptionError(
                f"given batch {self.batch}, instances {self.instances}, queue {self.queue}, delay "
                f"{self.queue_delay_us} us; expected at least 1 each, and no negative delay"
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
    shapes = _Shapes(variant, None, options.batch)
    config, files = _config(bundle, variant, name, options, shapes, "onnxruntime_onnx", kind)
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
    info = from_json(EngineInfo, bundle.read(engine.info_file), engine.info_file)
    if info.flavour != "tensorrt":
        raise OptionError(
            f"the engine '{version}' is of TensorRT-RTX, which Triton has no backend for; leave it "
            "out, or build one: python -m runtime build"
        )
    variant = bundle.manifest.variants[engine.variant]
    profile = info.options.profiles[0] if info.options.profiles else None
    shapes = _Shapes(variant, profile, options.batch)
    config, files = _config(bundle, variant, name, options, shapes, "tensorrt_plan", "KIND_GPU")
    return Served(
        platform="tensorrt_plan",
        source=engine.file,
        file="model.plan",
        config=config,
        files=files,
        needs=f"TensorRT {info.version} exactly, on {', '.join(info.target_sms)}",
    )


class _Shapes:
    """The shapes that Triton may give a model."""

    def __init__(self, variant: Variant, profile: Profile | None, batch: int) -> None:
        self.is_fixed = variant.input.shape[0].isdigit()
        self.profile = profile
        self.largest_batch = batch
        if profile is not None:
            self.largest_batch = min(batch, profile.largest[0])
            self.is_fixed = self.is_fixed or profile.smallest[0] > 1

    def dims(self, tensor: TensorInfo, *, is_input: bool) -> list[int]:
        dims = [int(size) if size.isdigit() else -1 for size in tensor.shape]
        if self.profile is not None and is_input:
            ends = zip(self.profile.smallest, self.profile.largest, strict=True)
            dims = [low if low == high else -1 for low, high in ends]
        return dims if self.is_fixed else dims[1:]

    def accepts(self, shape: Sequence[int], batch: int) -> bool:
        return self.profile is None or self.profile.accepts((batch, *shape[1:]))


def _config(  # noqa: PLR0913 (one message of many parts)
    bundle: Bundle,
    variant: Variant,
    name: str,
    options: ServeOptions,
    shapes: _Shapes,
    platform: str,
    kind: str,
) -> tuple[str, dict[str, bytes]]:
    manifest = bundle.manifest
    files: dict[str, bytes] = {}
    outputs = [_tensor(output, shapes, is_input=False) for output in variant.outputs]
    if manifest.labels and not variant.more_outputs:
        # A label is a line to Triton.
        lines = [" ".join(label.split()) for label in manifest.labels]
        files[LABELS_FILE] = ("\n".join(lines) + "\n").encode()
        outputs[0]["label_filename"] = LABELS_FILE
    message: dict[str, object] = {
        "name": name,
        "platform": platform,
        "max_batch_size": 0 if shapes.is_fixed else shapes.largest_batch,
        "input": [_tensor(variant.input, shapes, is_input=True)],
        "output": outputs,
        "instance_group": [{"count": options.instances, "kind": Word(kind)}],
        "version_policy": {"latest": {"num_versions": 1}},
    }
    if not shapes.is_fixed:
        message["dynamic_batching"] = {
            "max_queue_delay_microseconds": options.queue_delay_us,
            "default_queue_policy": {"max_queue_size": options.queue},
        }
    warm_ups = _warm_ups(bundle, variant, shapes, files)
    if warm_ups:
        message["model_warmup"] = warm_ups
    told = metadata_props(manifest.image, manifest.labels, manifest.pixels)
    message["parameters"] = [
        {"key": key, "value": {"string_value": value}}
        for key, value in {**told, "resnet-deploy.weights": manifest.weights.sha256}.items()
        if key != "resnet-deploy.labels"  # they have a file
    ]
    return render(message), files


def _tensor(info: TensorInfo, shapes: _Shapes, *, is_input: bool) -> dict[str, object]:
    return {
        "name": info.name,
        "data_type": Word(_TYPES[info.dtype]),
        "dims": list(shapes.dims(info, is_input=is_input)),
    }


def _warm_ups(
    bundle: Bundle, variant: Variant, shapes: _Shapes, files: dict[str, bytes]
) -> list[Message]:
    """Return a run of a golden image of each size, alone and as a batch; add them to files."""
    found: list[Message] = []
    sizes = set()
    for number, case in enumerate(bundle.manifest.golden):
        images = read_tensor(bundle.read(case.input_file))
        data = images if shapes.is_fixed else images[:1]
        if data.shape in sizes:
            continue
        sizes.add(data.shape)
        batches = [1] if shapes.is_fixed else [1, shapes.largest_batch]
        for batch in dict.fromkeys(batches):
            if not shapes.accepts(images.shape, len(images) if shapes.is_fixed else batch):
                continue
            file = f"golden_{number}"
            files[f"{WARM_UP_FOLDER}/{file}"] = _little_endian(data)
            dims = list(data.shape) if shapes.is_fixed else list(data.shape[1:])
            value = {
                "data_type": Word(_TYPES[variant.input.dtype]),
                "dims": dims,
                "input_data_file": file,
            }
            found.append(
                {
                    "name": f"{case.folder}, batch {batch}",
                    "batch_size": batch,
                    "inputs": {"key": variant.input.name, "value": value},
                }
            )
    return found


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
