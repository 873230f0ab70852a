"""Reads the infer request of the Open Inference Protocol, with doubt.

    Inference-Header-Content-Length absent    the body is JSON, tensors and all
    Inference-Header-Content-Length: N        N bytes of JSON, then the tensors that have a
                                              `binary_data_size`, one after another

Beside binary tensors it knows Triton's classification: an output asked for with the parameter
`classification: k` comes as k texts "score:index:label" for each image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.errors import RequestError
from runtime.runner import Images
from runtime.schema import Json
from runtime.serving.contract import Contract
from runtime.serving.tensors import Tensor, check_shape, from_bytes, from_json_data
from runtime.whole_number import whole_number

__all__ = ["HEADER_LENGTH", "InferRequest", "Wanted", "parse_request"]

HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An output as the client wants to have it."""

    name: str
    binary: bool
    classes: int
    """How many of the largest, as text; 0 for the numbers themselves."""


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """What a client asks."""

    id: str | None
    images: Images
    wanted: tuple[Wanted, ...]


def parse_request(body: bytes, header_length: str | None, contract: Contract) -> InferRequest:
    """Return the request in a body.

    Raises:
        RequestError: with status 400, if it is malformed or not what the model takes.
    """
    split = _header_length(body, header_length)
    document = _parse_json(body[:split] if split < len(body) else body)
    entry = _only_input(document, contract.input)
    images = _read_images(entry, memoryview(body)[split:], contract)
    given_id = document.get("id")
    _expect(given_id is None or isinstance(given_id, str), "id", "a text", given_id)
    return InferRequest(id=given_id, images=images, wanted=_wanted(document, contract))


def _header_length(body: bytes, given: str | None) -> int:
    if given is None:
        return len(body)
    number = whole_number(given) or 0
    if not 0 < number <= len(body):
        raise RequestError(
            400,
            f"{HEADER_LENGTH}: given '{given[:40]}'; expected the length of the JSON, 1 to "
            f"{len(body)} here",
        )
    return number


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is no JSON: {str(error)[:120]}") from None
    _expect(isinstance(document, dict), "the body", "a JSON object", document)
    return dict(document)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def _only_input(document: dict[str, Any], tensor: Tensor) -> dict[str, Any]:
    inputs = document.get("inputs")
    inputs = inputs if isinstance(inputs, list) else []
    names = [each.get("name") for each in inputs if isinstance(each, dict)]
    if len(inputs) != 1 or names != [tensor.name]:
        raise RequestError(
            400, f"inputs: given {json.dumps(names)[:80]}; expected one, named '{tensor.name}'"
        )
    entry: dict[str, Any] = inputs[0]
    if entry.get("datatype") != tensor.datatype:
        raise RequestError(
            400,
            f"input '{tensor.name}': given datatype {json.dumps(entry.get('datatype'))[:40]}; "
            f"expected {tensor.datatype}",
        )
    return entry


def _read_images(entry: dict[str, Any], binary: memoryview, contract: Contract) -> Images:
    tensor = contract.input
    shape = check_shape(tensor, entry.get("shape"), contract.largest_batch)
    pixels = int(np.prod(shape, dtype=object)) // contract.channels
    if pixels > contract.largest_pixels:
        raise RequestError(
            400,
            f"input '{tensor.name}': given {pixels} pixels; expected at most "
            f"{contract.largest_pixels} in a request",
        )
    parameters = _parameters(entry, f"input '{tensor.name}'")
    if "shared_memory_region" in parameters:
        raise RequestError(400, "shared memory is not supported; send the tensor itself")
    size = parameters.get("binary_data_size")
    if size is None:
        _expect("data" in entry, f"input '{tensor.name}'", "data, or a binary_data_size", "neither")
        return from_json_data(tensor, entry["data"], shape)
    _expect("data" not in entry, f"input '{tensor.name}'", "data or a binary_data_size", "both")
    if type(size) is not int or size != len(binary):
        raise RequestError(
            400,
            f"input '{tensor.name}': given binary_data_size {json.dumps(size)[:40]} and "
            f"{len(binary)} bytes after the JSON; expected as many",
        )
    return from_bytes(tensor, binary, shape)


def _wanted(document: dict[str, Any], contract: Contract) -> tuple[Wanted, ...]:
    parameters = _parameters(document, "the request")
    binary = parameters.get("binary_data_output", False)
    _expect(isinstance(binary, bool), "binary_data_output", "true or false", binary)
    names = [tensor.name for tensor in contract.outputs]
    entries = document.get("outputs") or [{"name": name} for name in names]
    _expect(isinstance(entries, list), "outputs", "a list", entries)
    wanted = tuple(_wanted_one(entry, names, binary=binary) for entry in entries)
    if len({each.name for each in wanted}) < len(wanted):
        raise RequestError(400, "outputs: one is asked for twice")
    return wanted


def _wanted_one(entry: Json, names: list[str], *, binary: bool) -> Wanted:
    name = entry.get("name") if isinstance(entry, dict) else entry
    if name not in names:
        raise RequestError(
            400, f"outputs: given {json.dumps(name)[:80]}; expected of {', '.join(names)}"
        )
    parameters = _parameters(entry, f"output '{name}'")
    binary = parameters.get("binary_data", binary)
    classes = parameters.get("classification", 0)
    _expect(isinstance(binary, bool), f"output '{name}': binary_data", "true or false", binary)
    fits = type(classes) is int and classes >= 0
    _expect(fits, f"output '{name}': classification", "a number of classes", classes)
    return Wanted(name=str(name), binary=binary, classes=classes)


def _parameters(entry: dict[str, Any], where: str) -> dict[str, Any]:
    given = entry.get("parameters")
    _expect(given is None or isinstance(given, dict), f"{where}: parameters", "an object", given)
    return given or {}


def _expect(holds: bool, where: str, expected: str, given: Json) -> None:  # noqa: FBT001 (an assertion)
    if not holds:
        shown = json.dumps(given)[:80]
        raise RequestError(400, f"{where}: given {shown}; expected {expected}")
