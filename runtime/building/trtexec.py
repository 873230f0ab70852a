"""The command line of NVIDIA's trtexec that builds the same engine, and times it.

TensorRT 11 made defaults of what 10 had to be told, so the same command measures different things:
without CUDA graphs, spinning waits and left-out copies, 10 looks slower than it is. And in 10 a
network is weakly typed unless told otherwise: it would ignore the precision of the graph.
"""

from __future__ import annotations

import shlex

from runtime.building.orders import EngineOrder

__all__ = ["trtexec_command"]

_TOLD_TO_10 = (
    "--stronglyTyped",
    "--useCudaGraph",
    "--useSpinWait",
    "--noDataTransfers",
    "--separateProfileRun",
)


def trtexec_command(order: EngineOrder, onnx_file: str, images: str, major: int) -> str:
    """Return the command, to be run in the bundle's folder.

    Args:
        order: an engine of the flavour "tensorrt".
        onnx_file: of its variant.
        images: the name of the graph's input.
        major: of TensorRT, 10 or 11.
    """
    options = order.options
    words = ["trtexec", f"--onnx={onnx_file}", f"--saveEngine={order.engine.file}"]
    for index, profile in enumerate(options.profiles):
        if len(options.profiles) > 1:
            words.append(f"--profile={index}")
        for name, shape in zip(
            ("minShapes", "optShapes", "maxShapes"), str(profile).split(":"), strict=True
        ):
            words.append(f"--{name}={images}:{shape}")
    words.append(f"--builderOptimizationLevel={options.optimization_level}")
    words += _given(order)
    words += ["--profilingVerbosity=detailed", "--timingCacheFile=timing.cache"]
    words += _TOLD_TO_10 if major == 10 else ()
    return shlex.join(words)


def _given(order: EngineOrder) -> list[str]:
    options = order.options
    flags = {
        f"--memPoolSize=workspace:{options.workspace_mib}M": options.workspace_mib is not None,
        "--noTF32": not options.tf32,
        "--versionCompatible": options.version_compatible,
        "--excludeLeanRuntime": options.version_compatible,
        "--refit": options.refit,
        "--stripWeights": options.strip_weights,
        f"--hardwareCompatibilityLevel={_camel(options.hardware_compatibility)}": (
            options.hardware_compatibility != "none"
        ),
        f"--useDLACore={options.dla_core}": options.dla_core is not None,
        "--allowGPUFallback": options.dla_core is not None and options.gpu_fallback,
    }
    return [flag for flag, given in flags.items() if given]


def _camel(name: str) -> str:
    """Return the level in trtexec's own spelling."""
    return {"ampere_plus": "ampere+"}.get(name, "sameComputeCapability")
