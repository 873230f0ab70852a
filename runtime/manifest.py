"""Manifest: what a bundle says of itself. Written by export, read and checked by all else."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from runtime.errors import BundleError
from runtime.image_spec import CHANNEL_AXES, ImageSpec
from runtime.schema import Json, decode, parse_json, to_json
from runtime.variant import Variant

__all__ = [
    "MANIFEST_FILE",
    "SCHEMA_VERSION",
    "Engine",
    "FileInfo",
    "GoldenCase",
    "Manifest",
    "ModelInfo",
    "WeightsInfo",
    "check_path",
]

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Which classifier this is."""

    name: str
    classes: int
    parameters: int
    macs: int
    """Multiply-accumulates of convolutions and linear layers for one image of the model's size."""


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Where the weights came from."""

    origin: str
    """"random", "imagenet", "embedded", "factory" (the model's own code read them) or "file"."""
    detail: str
    """The seed, the name of the weights enum, or the file's name."""
    sha256: str
    """Of all parameters and buffers: names, shapes, dtypes and bytes in state-dict order."""


@dataclass(frozen=True, kw_only=True)
class GoldenCase:
    """A recorded input and PyTorch's own answer to it, in ONNX's test-data convention."""

    folder: str
    """Holds input_0.pb and output_0.pb."""
    content: str
    """What the input shows, for a person: "photograph china.jpg", "random normal"."""

    @property
    def input_file(self) -> str:
        """The path of the images within the bundle."""
        return f"{self.folder}/input_0.pb"

    def output_files(self, outputs: int) -> list[str]:
        """Return the paths of the answers within the bundle, one for each output of the model."""
        return [f"{self.folder}/output_{number}.pb" for number in range(outputs)]

    def files(self, outputs: int) -> list[str]:
        """Return the paths of the images and of the answers."""
        return [self.input_file, *self.output_files(outputs)]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A TensorRT engine of a variant, for one kind of machine."""

    file: str
    """The plan."""
    variant: str
    """Whose contract and golden tolerances it has to keep."""

    @property
    def info_file(self) -> str:
        """The path of its description, an EngineInfo, within the bundle."""
        return f"{self.file}.json"


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """What a file of the bundle must be."""

    sha256: str
    """Of what was found on a disk, empty where the size is wrong already."""
    size: int
    """In bytes."""

    @staticmethod
    def of(data: bytes | memoryview) -> FileInfo:
        """Return what a file with these bytes must be."""
        return FileInfo(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    def __str__(self) -> str:
        return f"{self.size:,} bytes" + (f", SHA-256 {self.sha256[:12]}" if self.sha256 else "")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contract of a bundle.

    Raises:
        BundleError: if a path leads outside the bundle, a hash is malformed, a variant, engine or
            golden case names a file that is not listed, or labels and classes disagree.
    """

    schema_version: int
    model: ModelInfo
    weights: WeightsInfo
    image: ImageSpec
    labels: tuple[str, ...]
    """One per class; empty where nothing is known of them."""
    variants: dict[str, Variant]
    """By name; "fp32" is the one every bundle has."""
    golden: tuple[GoldenCase, ...]
    tools: dict[str, str]
    """Versions of what made the bundle."""
    files: dict[str, FileInfo]
    """Every file of the bundle but the manifest, by its path with forward slashes."""
    engines: dict[str, Engine] = field(default_factory=dict)
    """By name, which no variant has: "fp32-rtx"."""
    pixels: str = ""
    """What all graphs and golden inputs of the bundle are of: "NCHW" or "NHWC" are uint8 pixels in
    that layout, which the graphs normalise themselves; "" is normalised float32 NCHW."""

    def __post_init__(self) -> None:
        for path, info in self.files.items():
            check_path(path)
            if not _SHA256.fullmatch(info.sha256) or info.size < 0:
                raise BundleError(f"{MANIFEST_FILE}: the hash or size of '{path}' is malformed")
        if "fp32" not in self.variants:
            raise BundleError(f"{MANIFEST_FILE}: lacks the variant 'fp32', which every bundle has")
        for variant in self.variants.values():
            self._check_variant(variant)
        self._check_pixels()
        for name, engine in self.engines.items():
            self._check_engine(name, engine)
        outputs = max(len(variant.outputs) for variant in self.variants.values())
        for path in (p for case in self.golden for p in case.files(outputs)):
            self._check_listed(path)
        if self.labels and len(self.labels) != self.model.classes:
            raise BundleError(
                f"{MANIFEST_FILE}: {len(self.labels)} labels for {self.model.classes} classes"
            )

    def _check_variant(self, variant: Variant) -> None:
        self._check_listed(variant.file)
        if len(variant.golden_tolerances) != len(self.golden):
            raise BundleError(
                f"{MANIFEST_FILE}: '{variant.file}' has {len(variant.golden_tolerances)} "
                f"golden tolerances for {len(self.golden)} golden cases"
            )
        if not all(0 <= tolerance < math.inf for tolerance in variant.golden_tolerances):
            raise BundleError(
                f"{MANIFEST_FILE}: '{variant.file}' has a golden tolerance that is not a number "
                "from 0 up, so it would prove nothing"
            )

    def _check_pixels(self) -> None:
        if self.pixels not in ("", *CHANNEL_AXES):
            raise BundleError(
                f"{MANIFEST_FILE}: pixels lie as '{self.pixels}'; expected one of "
                f"{', '.join(CHANNEL_AXES)}, or nothing for normalised images"
            )
        for variant in self.variants.values():
            self._check_input(variant)

    def _check_input(self, variant: Variant) -> None:
        given, channels = variant.input, str(self.image.channel_count)
        if not self.pixels:
            fits = given.dtype != "uint8" and len(given.shape) == 4
            expected = "normalised images of 4 dimensions"
        else:
            fits = given.dtype == "uint8" and len(given.shape) == 4
            fits = fits and given.shape[CHANNEL_AXES[self.pixels]] == channels
            expected = f"uint8 pixels of {channels} channels as {self.pixels}"
        if not fits:
            raise BundleError(
                f"{MANIFEST_FILE}: '{variant.file}' takes {given}; expected {expected}, as all "
                "graphs of the bundle"
            )

    def _check_engine(self, name: str, engine: Engine) -> None:
        self._check_listed(engine.file)
        self._check_listed(engine.info_file)
        if engine.variant not in self.variants or name in self.variants:
            raise BundleError(
                f"{MANIFEST_FILE}: the engine '{name}' of the variant '{engine.variant}' is not "
                f"one of a variant of the bundle: {', '.join(self.variants)}"
            )

    def _check_listed(self, path: str) -> None:
        if path not in self.files:
            raise BundleError(f"{MANIFEST_FILE}: names '{path}', which its file list lacks")

    @property
    def model_files(self) -> dict[str, str]:
        """The path of every variant's and engine's model, by name; an engine's is no variant's."""
        variants = {name: variant.file for name, variant in self.variants.items()}
        return variants | {name: engine.file for name, engine in self.engines.items()}

    def variant_of(self, name: str) -> Variant:
        """Return the variant of that name, or the one that the engine of that name was built of."""
        return self.variants[self.engines[name].variant if name in self.engines else name]

    def to_json(self) -> bytes:
        """Return the manifest as the bytes of manifest.json."""
        return to_json(self)

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """Return the manifest that the bytes of manifest.json describe.

        Raises:
            BundleError: if they are not a manifest this version can read.
        """
        document = parse_json(data, MANIFEST_FILE)
        _check_schema(document)
        return decode(Manifest, document, MANIFEST_FILE)


def check_path(path: str) -> None:
    """Return if a bundle may hold a file of this path.

    Raises:
        BundleError: if it leads outside, is not written with forward slashes in the shortest way,
            or is the manifest's own.
    """
    pure = PurePosixPath(path)
    hostile = "\\" in path or ":" in path or not path.isprintable()
    if hostile or pure.is_absolute() or ".." in pure.parts or str(pure) != path or path == ".":
        raise BundleError(
            f"{MANIFEST_FILE}: the path '{path}' leads outside the bundle; do not use this bundle"
        )
    if path == MANIFEST_FILE:
        raise BundleError(f"{MANIFEST_FILE}: lists itself; do not use this bundle")


def _check_schema(document: Json) -> None:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if type(version) is not int:
        raise BundleError(f"{MANIFEST_FILE} has no schema version: it is not a bundle's manifest")
    if version != SCHEMA_VERSION:
        cure = "update resnet-deploy" if version > SCHEMA_VERSION else "export the model again"
        raise BundleError(
            f"{MANIFEST_FILE} has schema version {version}; this release reads version "
            f"{SCHEMA_VERSION}: {cure}"
        )
