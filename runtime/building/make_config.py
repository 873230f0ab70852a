"""Turns EngineOptions into TensorRT's own configuration of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.engines.options import EngineOptions
from runtime.engines.profile import Profile
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError, OptionError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["make_config"]


def make_config(
    library: TensorRt,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    options: EngineOptions,
) -> tensorrt.IBuilderConfig:
    """Return the configuration that builds the network as the options say.

    Raises:
        OptionError: if the profiles are not those of the network.
        EngineError: if this library or this machine lacks what an option asks for.
    """
    config = builder.create_builder_config()
    _set_flags(library, config, options)
    _set_levels(library, config, options)
    if options.target_sms:
        _set_targets(library, config, options.target_sms)
    if options.dla_core is not None:
        _set_dla(library, builder, config, options.dla_core)
    _add_profiles(library, builder, network, config, options.profiles)
    return config


def _set_flags(library: TensorRt, config: tensorrt.IBuilderConfig, options: EngineOptions) -> None:
    trt = library.module
    flags = {
        trt.BuilderFlag.TF32: options.tf32,
        trt.BuilderFlag.VERSION_COMPATIBLE: options.version_compatible,
        trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME: options.version_compatible,
        trt.BuilderFlag.REFIT: options.refit,
        trt.BuilderFlag.REFIT_IDENTICAL: options.strip_weights and not options.refit,
        trt.BuilderFlag.STRIP_PLAN: options.strip_weights,
        trt.BuilderFlag.GPU_FALLBACK: options.dla_core is not None and options.gpu_fallback,
    }
    for flag, wanted in flags.items():
        if wanted:
            config.set_flag(flag)
        else:
            config.clear_flag(flag)


def _set_levels(library: TensorRt, config: tensorrt.IBuilderConfig, options: EngineOptions) -> None:
    trt = library.module
    # What the inspector needs to tell in which precision a layer runs; the engine stays the same.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.builder_optimization_level = options.optimization_level
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.hardware_compatibility != "none":
        config.hardware_compatibility_level = library.member(
            trt.HardwareCompatibilityLevel, options.hardware_compatibility
        )


def _set_targets(
    library: TensorRt, config: tensorrt.IBuilderConfig, targets: tuple[str, ...]
) -> None:
    trt = library.module
    if (
        not hasattr(trt, "ComputeCapability")
        or not hasattr(config, "num_compute_capabilities")
        or not hasattr(config, "set_compute_capability")
    ):
        raise EngineError(f"{library.flavour} {library.version} cannot build for a chosen GPU")
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        config.set_compute_capability(library.member(trt.ComputeCapability, target), index)


def _set_dla(
    library: TensorRt, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig, core: int
) -> None:
    trt = library.module
    if core >= builder.num_DLA_cores:
        raise EngineError(
            f"DLA core: given {core}; {library.flavour} {library.version} finds "
            f"{builder.num_DLA_cores} on this machine, counted from 0"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core


def _add_profiles(
    library: TensorRt,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    config: tensorrt.IBuilderConfig,
    profiles: tuple[Profile, ...],
) -> None:
    trt = library.module
    images = network.get_input(0)
    shape = tuple(images.shape)
    for profile in profiles:
        if not profile.fits([None if side < 0 else side for side in shape]):
            raise OptionError(f"profile: given {profile}; the graph takes images {_show(shape)}")
    if -1 not in shape:
        return
    if not profiles:
        raise OptionError(
            f"the graph takes images {_show(shape)}; expected a profile for what is not fixed, "
            "such as --profile 1:8:32"
        )
    for profile in profiles:
        ranges = builder.create_optimization_profile()
        ranges.set_shape(
            images.name,
            trt.Dims(list(profile.smallest)),
            trt.Dims(list(profile.tuned)),
            trt.Dims(list(profile.largest)),
        )
        if config.add_optimization_profile(ranges) < 0:
            raise EngineError(f"profile {profile}: {library.take_errors()}")


def _show(shape: tuple[int, ...]) -> str:
    return "x".join("?" if side < 0 else str(side) for side in shape)
