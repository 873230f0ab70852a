"""The contract of a served model: what a client has to send and gets, for programs and people."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from export.triton.config import Served
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.image_spec import ImageSpec
from runtime.variant import TensorInfo

__all__ = ["CONTRACT_FILE", "Contract", "make_contract", "make_readme"]

CONTRACT_FILE = "contract.json"

_SAME = ("variant", "platform", "input", "outputs", "image", "pixels", "labels")
"""What all versions of a model have in common: a client must not notice which it is."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a client of a model relies on, and which versions there are."""

    schema_version: int
    model: str
    """Which classifier it is: "resnet50"."""
    variant: str
    """Of the bundle, or its engine."""
    platform: str
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    image: ImageSpec
    """How an image file becomes the input."""
    pixels: str
    """As in a manifest: the layout of uint8 pixels, or "" for normalised float32."""
    labels: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the model's file, by version."""
    written: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the files beside the versions as they were written, by path."""

    def check_same(self, other: Contract, folder: Path) -> None:
        """Return if the other model can be a version of this one.

        Raises:
            BundleError: naming the first thing in which a client would notice it.
        """
        for name in _SAME:
            there, given = getattr(self, name), getattr(other, name)
            if there != given:
                raise BundleError(
                    f"'{folder}' holds another model, by its {name}: {_shown(there)}; given "
                    f"{_shown(given)}; choose another --name"
                )


def make_contract(bundle: Bundle, variant: str, served: Served) -> Contract:
    """Return the contract of a variant or an engine, of no version yet."""
    manifest = bundle.manifest
    described = manifest.variant_of(variant)
    return Contract(
        schema_version=1,
        model=manifest.model.name,
        variant=variant,
        platform=served.platform,
        input=described.input,
        outputs=described.outputs,
        image=manifest.image,
        pixels=manifest.pixels,
        labels=manifest.labels,
    )


def make_readme(name: str, served: Served, contract: Contract) -> str:
    """Return what a person has to know to ask the model."""
    spec = contract.image
    outputs = ", ".join(f"`{output}`" for output in contract.outputs)
    steps = [
        f"resize the shorter side to {spec.resize} pixels, {spec.interpolation}, antialiased",
        f"crop the central {spec.crop}x{spec.crop}",
        f"channels: {spec.channels}, {spec.channel_count} of them",
    ]
    if contract.pixels:
        steps.append(f"uint8, 0 to 255, as {contract.pixels}; the model normalises them itself")
    else:
        low, high = spec.value_range
        steps.append(f"scale 0..255 to {low:g}..{high:g}, subtract {list(spec.mean)}")
        steps.append(f"divide by {list(spec.std)}; float32, NCHW")
    lines = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"""# {name}

{contract.model}, variant {contract.variant}, for Triton's `{served.platform}`. It needs
{served.needs}.

It takes `{contract.input}` and gives {outputs}, logits before any softmax. An image becomes the
input so; `contract.json` says the same for programs:

{lines}

`config.pbtxt` was written by `python -m export triton`, which leaves it alone once it is edited.
"""


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
