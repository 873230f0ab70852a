"""Execution providers of ONNX Runtime: what each is called and needs, and why it did not start.

A provider is a shared library that ONNX Runtime loads when a session asks for it. Where that fails
the provider is dropped, and only the native log says which library was missing. The same is found
out here by loading the provider's library once more.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cache_folder import cache_folder
from runtime.errors import OptionError

__all__ = [
    "PROVIDERS",
    "Provider",
    "check_provider",
    "describe_strays",
    "find_missing_piece",
    "loaded_libraries",
    "settings",
]

if TYPE_CHECKING:
    import onnxruntime

_LOG_FATAL = 4
"""Log severity under which nothing is printed."""
_LOG_WARNING = 2
"""Log severity that ONNX Runtime starts with; it cannot be asked for the current one."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An execution provider, as this project names and configures it."""

    native_name: str
    """ONNX Runtime's name: "CUDAExecutionProvider"."""
    library: str = ""
    """"cuda" of libonnxruntime_providers_cuda.so; empty where it is part of ONNX Runtime itself."""
    lesser: str = ""
    """The provider that a fallback takes instead; empty where there is none."""
    plugin: str = ""
    """The module of a provider that is a package of its own; empty where it is a library above."""
    package: str = ""
    """What pip is told to install for it."""
    device: dict[str, str] = field(default_factory=dict)
    """What a plugin must say of a device to run on it; of several, the first is taken."""
    no_device: str = ""
    """What is said where it finds no device to run on, and what to do."""
    options: dict[str, str] = field(default_factory=dict)
    """ONNX Runtime's options of this provider."""
    options_of_threads: Callable[[int], dict[str, str]] | None = None
    """Those that say how many threads it takes for one run; 0 leaves it to the provider."""
    cache_options: tuple[str, ...] = ()
    """Those that name a folder in which it keeps the engines it builds."""
    fuses_int8: bool = False
    """Whether it computes int8 in integers on this processor, whatever it is laid out for."""
    note: str = ""
    """What a person who runs on it should know."""


def _openvino_properties(threads: int) -> dict[str, str]:
    """Return what OpenVINO would otherwise decide by itself, as its provider takes it."""
    properties = {
        # bfloat16 otherwise, where there is AMX: ResNet-18 then keeps 47 dB instead of 127.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        # Pinned, two processes of one thread share the first core: 4.7 ms instead of 2.3.
        "ENABLE_CPU_PINNING": False,
        # Kernels, compiled for each shape, 0.3 MB each: ResNet-18 grew to 1.6 GB over 300 sizes of
        # image with the 5000 it keeps by itself. Eight batch sizes of ResNet-50 want 300.
        "CPU_RUNTIME_CACHE_CAPACITY": 1000,
    }
    return {"load_config": json.dumps({"CPU": properties})}


_NO_NVIDIA_GPU = "no NVIDIA GPU answers. Run: nvidia-smi"

PROVIDERS = {
    "cpu": Provider(native_name="CPUExecutionProvider"),
    "cuda": Provider(
        native_name="CUDAExecutionProvider",
        library="cuda",
        lesser="cpu",
        no_device=_NO_NVIDIA_GPU,
        # TF32 keeps 10 bits of mantissa: no parity in float32 would hold.
        options={"use_tf32": "0"},
    ),
    "tensorrt": Provider(
        native_name="TensorrtExecutionProvider",
        library="tensorrt",
        lesser="cuda",
        no_device=_NO_NVIDIA_GPU,
        options={"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"},
        cache_options=("trt_engine_cache_path", "trt_timing_cache_path"),
        # The provider has no option for it.
        note="TensorRT computes float32 with 10-bit mantissas unless NVIDIA_TF32_OVERRIDE=0 is set",
    ),
    "rtx": Provider(
        native_name="NvTensorRTRTXExecutionProvider",
        plugin="onnxruntime_ep_nv_tensorrt_rtx",
        package="onnxruntime-ep-nv-tensorrt-rtx-cu13",
        no_device="no GPU of Ampere or newer answers. Run: nvidia-smi",
        lesser="cpu",
        cache_options=("nv_runtime_cache_path",),
        note="TensorRT-RTX computes float32 with 10-bit mantissas unless NVIDIA_TF32_OVERRIDE=0 "
        "is set",
    ),
    "openvino": Provider(
        native_name="OpenVINOExecutionProvider",
        plugin="onnxruntime_ep_openvino",
        package="onnxruntime-ep-openvino  # there is one for Linux and Windows on x86-64",
        # A GPU or an NPU of Intel's answers to the same name, and would compute in float16.
        device={"ov_device": "CPU"},
        no_device="OpenVINO finds no processor that it supports. Run on 'cpu'",
        lesser="cpu",
        options_of_threads=_openvino_properties,
        fuses_int8=True,
    ),
}
"""By the name that `--provider` takes."""


def check_provider(name: str) -> None:
    """Return if there is such a provider; whether it runs here shows when it opens a model.

    Raises:
        OptionError: if there is none; names those there are.
    """
    if name not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise OptionError(f"provider: given '{name}'; expected one of {known}")


def settings(provider: Provider, model: Path | bytes, threads: int = 0) -> dict[str, str]:
    """Return ONNX Runtime's options of the provider for a model and a number of threads.

    Engines are kept in a folder of the user's own, by the model's hash: TensorRT's provider names
    them after the graph's structure, which models of other weights share.

    Raises:
        BackendError: if the folder cannot be made.
    """
    options = dict(provider.options)
    if provider.options_of_threads:
        options |= provider.options_of_threads(threads)
    if not provider.cache_options:
        return options
    data = model if isinstance(model, bytes) else model.read_bytes()
    folder = str(cache_folder("engines", hashlib.sha256(data).hexdigest()))
    return options | dict.fromkeys(provider.cache_options, folder)


@contextlib.contextmanager
def loaded_libraries(provider: Provider) -> Iterator[None]:
    """Load what pip installed of CUDA, cuDNN and TensorRT, and keep the native log quiet meanwhile.

    These libraries lie on no search path. What is missing stays missing: the provider then does not
    start, and `find_missing_piece` says why, in one line instead of the log's many.
    """
    import onnxruntime

    if not provider.library:
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(onnxruntime, "preload_dlls"):  # from 1.21
            onnxruntime.preload_dlls()
        if provider.library == "tensorrt":
            with contextlib.suppress(ImportError):
                import tensorrt  # noqa: F401 (the import loads its libraries)
    # Provider libraries are loaded under the default logger; a session's options do not reach it.
    onnxruntime.set_default_logger_severity(_LOG_FATAL)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_LOG_WARNING)


def describe_strays(session: onnxruntime.InferenceSession, provider: str) -> str:
    """Return which nodes of the session do not run on the provider, or "" if all of them do.

    The session must have been made with `session.record_ep_graph_assignment_info`.
    """
    nodes = [
        (subgraph.ep_name, f"{node.op_type} '{node.name}'")
        for subgraph in session.get_provider_graph_assignment_info()
        for node in subgraph.get_nodes()
    ]
    strays = [node for place, node in nodes if place != PROVIDERS[provider].native_name]
    if not strays:
        return ""
    shown = ", ".join(strays[:5]) + (f" and {len(strays) - 5} more" if len(strays) > 5 else "")
    return f"provider '{provider}': {len(strays)} of {len(nodes)} nodes run elsewhere: {shown}"


def find_missing_piece(provider: Provider) -> str:
    """Return what a provider that did not start lacks and how to get it, or "" if nothing is found.

    Loads the provider's library: for use after a failure only.
    """
    import onnxruntime

    if provider.plugin:  # all it may lack was asked for when it was registered
        return ""
    if provider.native_name not in onnxruntime.get_available_providers():
        return (
            f"the installed ONNX Runtime {onnxruntime.__version__} was built without it. "
            "Run: pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    library = _missing_library(provider, Path(onnxruntime.__file__).parent / "capi")
    cuda_major = getattr(onnxruntime, "cuda_version", "").partition(".")[0]
    tensorrt = re.fullmatch(r"libnv(?:infer|onnxparser)\w*\.so\.(\d+).*", library)
    if tensorrt:
        package = f"tensorrt-cu{cuda_major}=={tensorrt[1]}.*"
        return f"{library} of TensorRT {tensorrt[1]} was not found. Run: pip install '{package}'"
    if library.startswith("libcuda.so"):
        return f"{library} of the NVIDIA driver was not found. Install the driver of your GPU"
    if library:
        return (
            f"{library} of CUDA {cuda_major} or its cuDNN was not found. "
            "Run: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    return ""


def _missing_library(provider: Provider, folder: Path) -> str:
    """Return the name of the first library that the provider's own cannot find, or ''."""
    for library in sorted(folder.glob(f"libonnxruntime_providers_{provider.library}.*")):
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            missing = re.match(r"(\S+): cannot open shared object file", str(error))
            if missing:
                return missing[1]
    return ""
