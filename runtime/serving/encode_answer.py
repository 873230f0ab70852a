"""Writes the answer of the Open Inference Protocol, to the letter; see parse_request."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, RequestError
from runtime.serving.batcher import Outputs
from runtime.serving.contract import Contract
from runtime.serving.parse_request import InferRequest, Wanted
from runtime.serving.tensors import Tensor, encode_strings

__all__ = ["encode_answer"]


def encode_answer(
    request: InferRequest, outputs: Outputs, contract: Contract
) -> tuple[bytes, int | None]:
    """Return the body of the answer, and how long its JSON is if binary tensors follow it.

    Raises:
        BackendError: if an output holds NaN or infinity, which no JSON can hold. Asked here, of
            each request, because others whose images shared the batch have sound answers.
        RequestError: with status 400, if an output has no such form as is asked for.
    """
    for output in outputs:
        _check_finite(output)
    by_name = {
        tensor.name: (tensor, o) for tensor, o in zip(contract.outputs, outputs, strict=True)
    }
    entries, tail = [], []
    for wanted in request.wanted:
        entry, data = _encode(wanted, *by_name[wanted.name], contract.labels)
        entries.append(entry)
        tail.append(data)
    document: dict[str, Any] = {"model_name": contract.model, "model_version": contract.version}
    if request.id is not None:
        document["id"] = request.id
    document["outputs"] = entries
    header = json.dumps(document, separators=(",", ":")).encode()
    binary = any(wanted.binary for wanted in request.wanted)
    return b"".join([header, *tail]), len(header) if binary else None


def _encode(
    wanted: Wanted, tensor: Tensor, output: NDArray[Any], labels: tuple[str, ...]
) -> tuple[dict[str, Any], bytes]:
    """Return an output's entry, and its bytes if it is wanted as bytes."""
    entry: dict[str, Any] = {"name": wanted.name, "datatype": tensor.datatype}
    if wanted.classes:
        rows = _classes(output, wanted.classes, labels)
        entry |= {"datatype": "BYTES", "shape": [len(rows), len(rows[0])]}
        if not wanted.binary:
            return entry | {"data": [text for row in rows for text in row]}, b""
        data = encode_strings(rows)
    else:
        entry["shape"] = list(output.shape)
        if not wanted.binary:
            return entry | {"data": _numbers(output)}, b""
        data = output.astype(output.dtype.newbyteorder("<")).tobytes()
    return entry | {"parameters": {"binary_data_size": len(data)}}, data


def _check_finite(output: NDArray[Any]) -> None:
    finite = np.isfinite(output).reshape(len(output), -1).all(axis=1)
    if not finite.all():
        raise BackendError(
            f"the model gave NaN or infinity for image {int(finite.argmin())}; is it normalised as "
            "the bundle says? If it is, run `python -m runtime verify` on the bundle"
        )


def _classes(output: NDArray[Any], count: int, labels: tuple[str, ...]) -> list[list[str]]:
    if output.ndim != 2:
        raise RequestError(400, "classification: the output is a map, not scores of classes")
    best = np.argsort(-output, axis=1, kind="stable")[:, :count]
    named = labels if len(labels) == output.shape[1] else ()
    return [
        [f"{row[i]:f}:{i}:{named[i]}" if named else f"{row[i]:f}:{i}" for i in order]
        for row, order in zip(output, best.tolist(), strict=True)
    ]


def _numbers(output: NDArray[Any]) -> list[float]:
    if output.dtype == np.float16:
        raise RequestError(400, "FP16 has no JSON form; ask for the output with binary_data")
    values: list[float] = output.ravel().tolist()
    return values
