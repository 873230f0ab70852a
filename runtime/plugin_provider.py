"""Adds an execution provider that is a package of its own to a session of ONNX Runtime.

Such a provider is registered with the process and then chosen by the devices it finds, not by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from runtime.errors import ProviderError
from runtime.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnxruntime

__all__ = ["add_plugin"]


def add_plugin(options: onnxruntime.SessionOptions, name: str, settings: Mapping[str, str]) -> None:
    """Let a session run on a plugin provider, on the first device that it finds.

    Args:
        options: of the session.
        name: in PROVIDERS, of a provider that is a plugin.
        settings: ONNX Runtime's options of this provider.

    Raises:
        ProviderError: if the plugin is not installed, does not load, or finds no device.
    """
    import onnxruntime

    native_name = PROVIDERS[name].native_name
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise ProviderError(
            f"provider '{name}': ONNX Runtime {onnxruntime.__version__} takes no plugins; "
            "install 1.24 or newer"
        )
    if not _devices(native_name):  # the first session of this process
        _register(name)
    devices = _devices(native_name)
    if not devices:
        raise ProviderError(
            f"provider '{name}': no GPU of Ampere or newer answers. Run: nvidia-smi"
        )
    options.add_provider_for_devices(devices[:1], dict(settings))


def _devices(native_name: str) -> list[onnxruntime.OrtEpDevice]:
    import onnxruntime

    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == native_name]


def _register(name: str) -> None:
    import onnxruntime

    provider = PROVIDERS[name]
    try:
        plugin = importlib.import_module(provider.plugin)
        library = plugin.get_library_path()
    except ImportError:
        package = provider.plugin.replace("_", "-")
        raise ProviderError(
            f"provider '{name}': its package is not installed. Run: pip install {package}-cu13"
        ) from None
    except OSError as error:
        raise ProviderError(f"provider '{name}': {error}") from None
    try:
        onnxruntime.register_execution_provider_library(provider.native_name, library)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        missing = "libcuda.so.1 of the NVIDIA driver was not found. Install the driver of your GPU"
        reason = " ".join(str(error).split())
        raise ProviderError(
            f"provider '{name}': {missing if 'libcuda.so' in reason else reason[:240]}"
        ) from None
