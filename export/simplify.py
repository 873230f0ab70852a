"""Simplifies a graph with onnxsim in a child process, and checks that it still says the same.

onnxsim is native code that has crashed, hung and been killed for memory in its users' hands, and
simplifiers have shipped wrong results. So it runs in a child with limits on time and memory, and
its answer is only taken when both graphs agree at several shapes; otherwise the graph stays as it
was and the caller is told why.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from export.equivalence import FedRunner, find_difference
from export.standardize import standardize

__all__ = ["Simplification", "Simplifier"]

FOLD_INTO_WEIGHTS = frozenset(("BatchNormalization", "Div", "Mul", "Pad", "Sub", "Transpose"))
"""Operators that a simplifier can fold into the weights beside them."""

TIME_LIMIT_S = 300.0
MEMORY_LIMIT_MIB = 16 * 1024
"""Of address space, not of resident memory; ResNet-152 takes 3 GiB of it."""


@dataclass(frozen=True, kw_only=True)
class Simplification:
    """The outcome of simplify."""

    graph: ir.Model
    before: Counter[str]
    """Operators of the graph as it was traced."""
    after: Counter[str]
    """Operators of the graph as it is now."""
    kept_because: str = ""
    """Why the original was kept; empty when it was simplified."""


class Simplifier:
    """A child process that is ready to simplify one graph.

    Its imports run while the caller does something else: enter the context before tracing.

        with Simplifier() as simplify:
            outcome = simplify(trace(classifier))
    """

    def __init__(
        self, time_limit_s: float = TIME_LIMIT_S, memory_limit_mib: int = MEMORY_LIMIT_MIB
    ) -> None:
        self._time_limit_s = time_limit_s
        command = [sys.executable, "-m", "export.simplify_worker", str(memory_limit_mib)]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    @property
    def pid(self) -> int:
        """Of the child process."""
        return self._child.pid

    def __enter__(self) -> Simplifier:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            # What it never read is lost, as it should be.
            with contextlib.suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        self._child.wait()

    def __call__(self, graph: ir.Model) -> Simplification:
        """Return the graph simplified, or the graph itself and the reason why not."""
        before = count_operators(graph)
        lean, weights = _part(graph)
        given = _serialize(lean)
        try:
            simplified = _read(self._run(given))
            _check_equivalence(given, _serialize(simplified), weights)
        except _NotSimplifiedError as error:
            return Simplification(graph=graph, before=before, after=before, kept_because=str(error))
        after = count_operators(simplified)
        return Simplification(graph=_join(simplified, weights), before=before, after=after)

    def _run(self, model: bytes) -> bytes:
        try:
            output, messages = self._child.communicate(model, timeout=self._time_limit_s)
        except subprocess.TimeoutExpired:
            raise _NotSimplifiedError(f"onnxsim took over {self._time_limit_s:g} s") from None
        except BrokenPipeError:
            output, messages = b"", b""
        if self._child.returncode != 0 or not output:
            last = messages.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise _NotSimplifiedError(
                f"onnxsim ended with status {self._child.returncode}: {last[0]}"
            )
        return output


class _NotSimplifiedError(Exception):
    """The child process gave no model, or one that says something else."""


def count_operators(graph: ir.Model) -> Counter[str]:
    """Return how often each operator stands in the graph."""
    return Counter(node.op_type for node in graph.graph)


def _part(graph: ir.Model) -> tuple[ir.Model, dict[str, ir.TensorProtocol]]:
    """Return the graph with its weights as inputs, and the weights.

    A hundred megabytes need not travel to the child and back when nothing can be folded into them.
    """
    lean = graph.clone()
    weights: dict[str, ir.TensorProtocol] = {}
    if any(node.op_type in FOLD_INTO_WEIGHTS for node in lean.graph):
        return lean, weights
    for value in tuple(lean.graph.initializers.values()):
        uses = value.uses()
        if value.const_value is None or not uses:
            continue
        if all(use.node.op_type in ("Conv", "Gemm") and use.idx in (1, 2) for use in uses):
            name = str(value.name)
            weights[name] = value.const_value
            del lean.graph.initializers[name]
            lean.graph.inputs.append(value)
    return lean, weights


def _read(model: bytes) -> ir.Model:
    graph = ClearMetadataAndDocStringPass()(ir.from_proto(onnx.load_from_string(model))).model
    graph.metadata_props.clear()  # onnxsim's notes on what it did
    standardize(graph)
    return graph


def _serialize(graph: ir.Model) -> bytes:
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


def _check_equivalence(
    before: bytes, after: bytes, weights: Mapping[str, ir.TensorProtocol]
) -> None:
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    try:
        difference = find_difference(FedRunner(before, arrays), FedRunner(after, arrays))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise _NotSimplifiedError(str(error).splitlines()[0]) from None
    if difference:
        raise _NotSimplifiedError(difference)


def _join(graph: ir.Model, weights: Mapping[str, ir.TensorProtocol]) -> ir.Model:
    """Return the graph with its weights in place again."""
    for value in tuple(graph.graph.inputs):
        tensor = weights.get(str(value.name))
        if tensor is not None:
            graph.graph.inputs.remove(value)
            value.const_value = tensor
            graph.graph.register_initializer(value)
    return graph
