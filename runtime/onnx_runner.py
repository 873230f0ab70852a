"""OnnxRunner: ONNX Runtime behind the Runner protocol. What was asked for runs, or an error.

ONNX Runtime falls back in silence, three times over: a provider whose libraries do not load is
dropped, a node that a provider cannot take goes to the CPU, and a session that fails is made again
with fewer providers. Here only the requested provider is asked for, the last of the three is off,
and the providers and the place of every node are compared with the request before anything runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import (
    BackendError,
    BackendMissingError,
    BundleError,
    DeployError,
    OptionError,
    ProviderError,
)
from runtime.plugin_provider import add_plugin
from runtime.providers import (
    PROVIDERS,
    check_provider,
    describe_strays,
    find_missing_piece,
    loaded_libraries,
    settings,
)
from runtime.runner import Images, Logits, join_outputs

try:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as native
except ImportError as error:
    raise BackendMissingError(
        f"OnnxRunner needs the package 'onnxruntime' ({error}). Run: pip install resnet-deploy"
    ) from None

__all__ = ["OnnxRunner"]

# The model's fault under any provider. The other native errors can be the provider's.
_BROKEN_MODEL = (
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoModel,
    native.NoSuchFile,
)
# Older versions can refuse nodes that fall back to the CPU, but not name them.
_NAMES_NODES = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(uint8)": np.dtype(np.uint8),
}
"""Of images, by ONNX Runtime's name of it."""
_MOST_THREADS = 1024
"""More than processors have; ONNX Runtime starts them all, and to start 100,000 takes minutes."""
_LOG_FATAL = 4
"""Log severity under which nothing is printed: errors arrive as exceptions all the same."""


class OnnxRunner:
    """An ONNX classifier that is ready to run in ONNX Runtime."""

    provider: str
    """What it runs on, by its name in `runtime.providers.PROVIDERS`."""
    notes: tuple[str, ...]
    """What the person must be told: what is less than was asked for, and why."""

    def __init__(
        self, session: onnxruntime.InferenceSession, provider: str, notes: tuple[str, ...] = ()
    ) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        types = [each.type for each in inputs]
        if len(types) != 1 or types[0] not in _DTYPES or not outputs:
            raise BundleError(
                f"the model takes {', '.join(types) or 'nothing'} and gives {len(outputs)} "
                "outputs; expected one float32 or uint8 input and at least one output, as of a "
                "classifier of images"
            )
        self.provider = provider
        self.notes = notes
        self._session = session
        self._input = inputs[0].name
        self._dtype: np.dtype[Any] = _DTYPES[types[0]]
        # A fixed dimension is an int; a dynamic one is its name, or None.
        self._shape = tuple(d if isinstance(d, int) else None for d in inputs[0].shape)
        # Asked for by name: ONNX Runtime would ask its own list of outputs before every run.
        self._outputs = [output.name for output in outputs]
        self._fitting: set[tuple[int, ...]] = set()

    @staticmethod
    def open(
        model: Path | bytes,
        provider: str = "cpu",
        *,
        allow_fallback: bool = False,
        threads: int = 0,
        as_written: bool = False,
    ) -> OnnxRunner:
        """Return a runner of the model that runs every node of it on the provider.

        Args:
            model: an ONNX file, or the bytes of one that stores its weights within itself.
            provider: a name of `runtime.providers.PROVIDERS`.
            allow_fallback: accept lesser providers for what the provider cannot run, be it some
                nodes or all of them. The runner's `notes` then say so.
            threads: how many a provider on the processor takes for one run; 0 leaves it to that.
            as_written: whether ONNX Runtime is kept from putting integer operators in the place of
                quantized ones, as it had better be where they are laid out for TensorRT. Providers
                that do so whatever the layout are let.

        Raises:
            OptionError: if there is no such provider, or `threads` is not 0 to 1024.
            BundleError: if the model is missing, broken, or no classifier of images.
            ProviderError: if the provider would not run, or not all of the model. Says what is
                missing, or which nodes.
            BackendError: if ONNX Runtime cannot run the model at all, for instance its opset.
        """
        check_provider(provider)
        if not 0 <= threads <= _MOST_THREADS:
            raise OptionError(f"threads: given {threads}; expected 0 to {_MOST_THREADS}")
        accepted = _chain(provider) if allow_fallback else [provider]
        try:
            session = _start(model, accepted, threads, as_written=as_written)
        except ProviderError as error:
            if len(accepted) == 1:
                raise
            lesser = OnnxRunner.open(
                model, accepted[1], allow_fallback=True, threads=threads, as_written=as_written
            )
            lesser.notes = (f"{error}; running on {accepted[1]} instead", *lesser.notes)
            return lesser
        strays = _strays(session, accepted)
        if strays and not allow_fallback:
            raise ProviderError(f"{strays}. To accept that, use --allow-fallback")
        notes = (PROVIDERS[provider].note, strays)
        return OnnxRunner(session, provider, tuple(note for note in notes if note))

    @property
    def name(self) -> str:
        """The library and the provider: "onnxruntime cpu"."""
        return f"onnxruntime {self.provider}"

    def logits(self, images: Images) -> Logits:
        """Return one row of logits per image, in order. The array is the caller's to keep.

        The maps of a head of several outputs are joined into that row, first output first: what
        compares logits then compares maps.

        Raises:
            BackendError: if the images are not what the model takes, or the run fails.
        """
        return join_outputs(self.outputs(images))

    def outputs(self, images: Images) -> list[Logits]:
        """Return every output of the model, in its order. The arrays are the caller's to keep.

        Raises:
            BackendError: if the images are not what the model takes, or the run fails.
        """
        # A small model answers in 60 microseconds, of which the whole check would take some.
        if images.shape not in self._fitting or images.dtype != self._dtype:
            self._check(images)
        try:
            outputs: list[Logits] = self._session.run(self._outputs, {self._input: images})
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise BackendError(
                f"{self.name}: cannot run on images of shape {list(images.shape)} "
                f"({_one_line(error)})"
            ) from None
        return outputs

    def _check(self, images: Images) -> None:
        fits = len(images.shape) == len(self._shape) and all(
            fixed in (None, given) for fixed, given in zip(self._shape, images.shape, strict=True)
        )
        if not fits or images.dtype != self._dtype:
            expected = ", ".join("any" if fixed is None else str(fixed) for fixed in self._shape)
            raise BackendError(
                f"{self.name}: given images of {images.dtype} {list(images.shape)}; "
                f"expected {self._dtype} [{expected}]{_hint(self._dtype, images.dtype)}"
            )
        self._fitting.add(images.shape)


def _hint(taken: np.dtype[Any], given: np.dtype[Any]) -> str:
    if taken == given:
        return ""
    if taken == np.uint8:
        return "; the model normalises pixels of 0 to 255 itself"
    return "; the model takes images that are normalised already"


def _chain(provider: str) -> list[str]:
    """Return the provider and what a fallback would take after it, in order."""
    lesser = PROVIDERS[provider].lesser
    return [provider, *(_chain(lesser) if lesser else ())]


def _start(
    model: Path | bytes, accepted: list[str], threads: int, *, as_written: bool
) -> onnxruntime.InferenceSession:
    """Return a session of the accepted providers, the first of which is there."""
    wanted = PROVIDERS[accepted[0]]
    available = onnxruntime.get_available_providers()
    if wanted.native_name not in available and not wanted.plugin:
        raise ProviderError(f"provider '{accepted[0]}': {find_missing_piece(wanted)}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_FATAL
    options.intra_op_num_threads = threads
    if as_written and not wanted.fuses_int8:
        # Of int8 with float16 around it, ONNX Runtime 1.31 multiplies the scales in float16: it
        # loses 15 dB on ResNet-18, and a fifth of the time. Of opset 21 it makes broken graphs.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if _NAMES_NODES:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    elif wanted.lesser and len(accepted) == 1:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    chosen = [PROVIDERS[name] for name in accepted if PROVIDERS[name].native_name in available]
    if wanted.plugin:
        chosen = []  # a session takes its providers either by name or by device
        add_plugin(options, accepted[0], wanted, settings(wanted, model, threads))
    try:
        with loaded_libraries(wanted):
            session = onnxruntime.InferenceSession(
                model,
                options,
                providers=[(each.native_name, settings(each, model)) for each in chosen],
                enable_fallback=0,
            )
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise _translate(error, accepted[0]) from None
    if wanted.native_name not in session.get_providers():
        missing = find_missing_piece(wanted) or wanted.no_device
        raise ProviderError(f"provider '{accepted[0]}': {missing}")
    return session


def _strays(session: onnxruntime.InferenceSession, accepted: list[str]) -> str:
    """Return what is to be said of nodes that are not on the first accepted provider, or ""."""
    if _NAMES_NODES:
        return describe_strays(session, accepted[0])
    if len(accepted) == 1:
        return ""  # `_start` has forbidden them
    return f"ONNX Runtime {onnxruntime.__version__} does not tell which nodes fell back, if any"


def _translate(error: Exception, provider: str) -> DeployError:
    """Return ONNX Runtime's error as one of this project's."""
    reason = _one_line(error)
    if isinstance(error, _BROKEN_MODEL):
        return BundleError(f"not a model that ONNX Runtime can load ({reason}); export it again")
    if PROVIDERS[provider].lesser:
        missing = find_missing_piece(PROVIDERS[provider])
        return ProviderError(f"provider '{provider}': {missing or reason}")
    return BackendError(
        f"ONNX Runtime {onnxruntime.__version__} cannot run this model ({reason}). "
        "If its opset is too new: install a newer ONNX Runtime, or export for an older opset"
    )


def _one_line(error: Exception) -> str:
    """Return a native message without its code, the place in the C++ source and line breaks."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"/\S+\.(?:cc|h):\d+ [^(]*\([^)]*\) ", "", text)
    return text[:240]
