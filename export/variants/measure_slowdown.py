"""Measures how much longer a graph takes than another one, in ONNX Runtime on the CPU."""

from __future__ import annotations

import statistics
import time

from runtime.onnx_runner import OnnxRunner
from runtime.runner import Images

__all__ = ["measure_slowdown"]

_ROUNDS = 15
_WARM_UP = 3


def measure_slowdown(slower: bytes, faster: bytes, images: Images) -> float:
    """Return the median of the ratio of their times, taken in turns on one thread.

    Args:
        slower: an ONNX file.
        faster: another one that takes the same images.
        images: a batch.
    """
    runners = [OnnxRunner.open(model, threads=1) for model in (slower, faster)]
    ratios = []
    for number in range(_WARM_UP + _ROUNDS):
        times = []
        for runner in runners:
            start = time.perf_counter()
            runner.logits(images)
            times.append(time.perf_counter() - start)
        if number >= _WARM_UP:
            ratios.append(times[0] / times[1])
    return statistics.median(ratios)
