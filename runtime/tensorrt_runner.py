"""TensorRtRunner: an engine of TensorRT 10, 11 or RTX behind the Runner protocol."""

from __future__ import annotations

import contextlib
import threading
import weakref
from pathlib import Path

import numpy as np

from runtime.cuda.cuda import open_cuda
from runtime.cuda.gpu import find_gpu
from runtime.engines.engine import EngineInfo, check_plan, check_runs_here
from runtime.engines.load_engine import load_engine
from runtime.engines.session import EngineSession
from runtime.engines.tensorrt_module import load_tensorrt
from runtime.errors import EngineError
from runtime.runner import Images, Logits

__all__ = ["TensorRtRunner"]

_KINDS = {"float32": "normalised images", "uint8": "pixels of 0 to 255"}


class TensorRtRunner:
    """A classifier that is ready to run on this machine's GPU.

    It holds memory on the GPU until it is closed, left as a context manager, or collected.
    """

    notes: tuple[str, ...] = ()
    """What the person must be told; nothing: an engine runs whole or not at all."""

    def __init__(self, session: EngineSession, name: str) -> None:
        self.name = name
        self._session = session
        self._one_at_a_time = threading.Lock()
        self._last_resort = weakref.finalize(self, _close_quietly, session)

    @staticmethod
    def open(
        plan: bytes,
        info: EngineInfo,
        path: Path,
        onnx: bytes | None = None,
        compiled: Path | None = None,
    ) -> TensorRtRunner:
        """Return a runner of an engine.

        Args:
            plan: the serialized engine; the caller vouches for who made it.
            info: its description.
            path: where it lies, for messages.
            onnx: the ONNX file it was built from, for an engine without weights.
            compiled: the file in which TensorRT-RTX keeps what it compiles; it lies beside the
                engine if not given.

        Raises:
            EngineError: if it is not the engine described, was built for another version or GPU, or
                cannot be loaded. Names what differs and how to build it again.
            BackendMissingError: if TensorRT or the CUDA runtime is not installed.
        """
        check_plan(plan, info, path)
        gpu = find_gpu()
        if gpu is None:
            raise EngineError(f"'{path}' needs an NVIDIA GPU, and none answers. Run: nvidia-smi")
        library = load_tensorrt(info.flavour)
        check_runs_here(info, library.version, gpu, path)
        engine = load_engine(library, plan, info, onnx)
        compiled = compiled or path.with_name(path.name + ".compiled")
        session = EngineSession(library, engine, open_cuda(), compiled)
        return TensorRtRunner(session, f"{library.flavour} {library.version}")

    def logits(self, images: Images) -> Logits:
        """Return one row of logits per image, in order. The array is the caller's to keep.

        More images than the engine takes at once are split; fewer than its smallest batch are
        filled up with zeros, whose rows are dropped.

        Raises:
            EngineError: if the images are not what the engine takes, or the run fails.
        """
        taken = self._session.io.dtype
        if images.ndim != 4 or images.dtype != taken:
            raise EngineError(
                f"{self.name}: given images of {images.dtype} {list(images.shape)}; expected "
                f"{taken} in 4 dimensions, {_KINDS[taken.name]}"
            )
        index = self._session.io.choose(images.shape)
        profile = self._session.io.profiles[index]
        smallest, largest = profile.smallest[0], profile.largest[0]
        with self._one_at_a_time:
            rows = [
                self._run(index, images[start : start + largest], smallest)
                for start in range(0, len(images), largest)
            ]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether images of that shape can be run, split or filled up if need be."""
        try:
            self._session.io.choose(shape)
        except EngineError:
            return False
        return True

    @property
    def device_ms(self) -> float:
        """How long the GPU took for the last batch, copies included."""
        return self._session.device_ms

    def close(self) -> None:
        """Give back all that the engine holds on the GPU; a second call does nothing.

        Raises:
            EngineError: if CUDA fails; all the rest is given back nevertheless.
        """
        self._last_resort.detach()
        self._session.close()

    def __enter__(self) -> TensorRtRunner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self, profile: int, batch: Images, smallest: int) -> Logits:
        if len(batch) >= smallest:
            return self._session.run(profile, batch)
        full = np.zeros((smallest, *batch.shape[1:]), batch.dtype)
        full[: len(batch)] = batch
        return self._session.run(profile, full)[: len(batch)]


def _close_quietly(session: EngineSession) -> None:
    # When the interpreter ends, CUDA may have ended before.
    with contextlib.suppress(EngineError):
        session.close()
