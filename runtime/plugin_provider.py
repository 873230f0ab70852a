"""Adds an execution provider that is a package of its own to a session of ONNX Runtime.

Such a provider is registered with the process and then chosen by the devices it finds, not by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from runtime.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnxruntime

    from runtime.providers import Provider

__all__ = ["add_plugin"]


def add_plugin(
    options: onnxruntime.SessionOptions, name: str, provider: Provider, settings: Mapping[str, str]
) -> None:
    """Let a session run on a plugin provider, on the first fitting device that it finds.

    Args:
        options: of the session.
        name: of the provider, for a person.
        provider: one that is a plugin.
        settings: ONNX Runtime's options of this provider.

    Raises:
        ProviderError: if the plugin is not installed, does not load, or finds no device.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise ProviderError(
            f"provider '{name}': ONNX Runtime {onnxruntime.__version__} takes no plugins; "
            "install 1.24 or newer"
        )
    if not _devices(provider):  # the first session of this process
        _register(name, provider)
    devices = _devices(provider)
    if not devices:
        raise ProviderError(f"provider '{name}': {provider.no_device}")
    options.add_provider_for_devices(devices[:1], dict(settings))


def _devices(provider: Provider) -> list[onnxruntime.OrtEpDevice]:
    import onnxruntime

    return [
        device
        for device in onnxruntime.get_ep_devices()
        if device.ep_name == provider.native_name
        and provider.device.items() <= device.ep_metadata.items()
    ]


def _register(name: str, provider: Provider) -> None:
    import onnxruntime

    try:
        plugin = importlib.import_module(provider.plugin)
        library = plugin.get_library_path()
    except ImportError:
        raise ProviderError(
            f"provider '{name}': its package is not installed. Run: pip install {provider.package}"
        ) from None
    except OSError as error:
        raise ProviderError(f"provider '{name}': {error}") from None
    try:
        onnxruntime.register_execution_provider_library(provider.native_name, library)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        if "already registered" in str(error):
            return  # by an earlier session, and it found no device then either
        missing = "libcuda.so.1 of the NVIDIA driver was not found. Install the driver of your GPU"
        reason = " ".join(str(error).split())
        raise ProviderError(
            f"provider '{name}': {missing if 'libcuda.so' in reason else reason[:240]}"
        ) from None
