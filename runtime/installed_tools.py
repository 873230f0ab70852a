"""Which versions of what decides a model's answers and speed are installed."""

from __future__ import annotations

import importlib.metadata

__all__ = ["installed_tools"]

_NAMES = (
    "resnet-deploy",
    "numpy",
    "pillow",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-ep-openvino",
    "onnxruntime-ep-nv-tensorrt-rtx-cu13",
)


def installed_tools() -> dict[str, str]:
    """Return the version of each that is installed, by name."""
    found = {}
    for name in _NAMES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
