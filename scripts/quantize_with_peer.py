"""Quantizes a model with another project's quantizer, in the environment of that project.

    python quantize_with_peer.py "NNCF" model.onnx images.npy quantized.onnx

It imports nothing of this one. The last line it prints is how many seconds of processor time the
work took, from the open model to the written one, on all cores and without imports, and the peak
memory in MiB.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]

PEERS: dict[str, Callable[[str, Images, str], Callable[[], None]]] = {}


def use_onnxruntime(
    model: str, images: Images, output: str, *, method: str, symmetric: bool
) -> Callable[[], None]:
    """Return the work of onnxruntime.quantization, with a scale a channel of weights."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.images, None)
            return None if image is None else {"images": np.asarray(image)[None]}

    def work() -> None:
        kind = quantization.QuantType.QInt8 if symmetric else quantization.QuantType.QUInt8
        quantization.quantize_static(
            model,
            output,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=kind,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod[method],
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )

    return work


def use_nncf(model: str, images: Images, output: str) -> Callable[[], None]:
    """Return the work of NNCF on ONNX, with what it does by default: bias correction, too."""
    import nncf  # type: ignore[import-not-found]
    import onnx

    def work() -> None:
        data = nncf.Dataset(range(len(images)), lambda i: {"images": np.asarray(images[i])[None]})
        onnx.save(nncf.quantize(onnx.load(model), data, subset_size=len(images)), output)

    return work


def use_modelopt(model: str, images: Images, output: str, *, method: str) -> Callable[[], None]:
    """Return the work of ModelOpt, which places for TensorRT; what is not int8 stays float32."""
    from modelopt.onnx.quantization import quantize  # type: ignore[import-not-found]

    return lambda: quantize(
        model,
        quantize_mode="int8",
        calibration_data={"images": np.asarray(images)},
        calibration_method=method,
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        output_path=output,
    )


for _method in ("MinMax", "Entropy", "Percentile"):
    PEERS[f"onnxruntime {_method} int8"] = partial(use_onnxruntime, method=_method, symmetric=True)
    PEERS[f"onnxruntime {_method} uint8"] = partial(
        use_onnxruntime, method=_method, symmetric=False
    )
PEERS["NNCF"] = use_nncf
PEERS["ModelOpt max"] = partial(use_modelopt, method="max")
PEERS["ModelOpt entropy"] = partial(use_modelopt, method="entropy")


def main() -> int:
    """Do the work that the command line names; return the exit status."""
    try:
        peer, model, images, output = sys.argv[1:]
        prepare = PEERS[peer]
    except (ValueError, KeyError):
        usage = f'quantize_with_peer.py "{"|".join(PEERS)}" MODEL.onnx IMAGES.npy OUTPUT.onnx'
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    work = prepare(model, np.load(images, mmap_mode="r"), output)
    start = time.process_time()
    work()
    seconds = time.process_time() - start
    # Not getrusage, whose peak a process inherits from the one that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None  # on Linux
    print(f"\n{seconds} {int(peak[1]) / 1024}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
