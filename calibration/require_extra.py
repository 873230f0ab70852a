"""Says in one line what to install, where only the base install is at hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from runtime.errors import BackendMissingError

__all__ = ["require_extra"]


def require_extra(modules: Sequence[str] = ("onnx", "onnx_ir")) -> None:
    """Return if the modules can be imported, all of which come with the extra "export".

    Raises:
        BackendMissingError: naming the first that cannot.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise BackendMissingError(
                f"this needs the package '{module}'. Run: pip install 'resnet-deploy[export]'"
            )
