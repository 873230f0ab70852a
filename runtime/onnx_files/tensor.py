"""Tensors as ONNX writes them to disk: the input_0.pb and output_0.pb of its test-data convention.

Field numbers and the places of each data type are those of TensorProto in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Read here because an edge device has no
onnx, and strictly, because the file comes from a disk that others can write to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BundleError
from runtime.onnx_files.protobuf import encode_bytes, encode_varint, fields, varints

__all__ = ["read_tensor", "write_tensor"]

_DIMS, _DATA_TYPE, _SEGMENT, _NAME, _RAW_DATA, _EXTERNAL_DATA, _LOCATION = 1, 2, 3, 8, 9, 13, 14
_FLOAT_DATA, _INT32_DATA, _INT64_DATA, _DOUBLE_DATA = 4, 5, 7, 10

# By TensorProto.DataType: the type, and the field that holds it where raw_data does not.
_TYPES: dict[int, tuple[np.dtype[Any], int]] = {
    1: (np.dtype("<f4"), _FLOAT_DATA),
    2: (np.dtype("<u1"), _INT32_DATA),
    3: (np.dtype("<i1"), _INT32_DATA),
    6: (np.dtype("<i4"), _INT32_DATA),
    7: (np.dtype("<i8"), _INT64_DATA),
    10: (np.dtype("<f2"), _INT32_DATA),  # as its bits
    11: (np.dtype("<f8"), _DOUBLE_DATA),
}
_MOST_DIMENSIONS = 8
_Fields = dict[int, list[int | memoryview]]


def read_tensor(data: bytes) -> NDArray[Any]:
    """Return the array of a serialized TensorProto, in native byte order; it is the caller's.

    Raises:
        BundleError: if it is cut short, of a type not in use here, keeps its data in another file,
            or holds more or fewer elements than its dimensions say.
    """
    found: _Fields = {}
    for number, value in fields(memoryview(data)):
        found.setdefault(number, []).append(value)
    if found.keys() & {_SEGMENT, _EXTERNAL_DATA} or any(found.get(_LOCATION, [])):
        raise BundleError("the tensor keeps its data elsewhere; expected it in the file itself")
    shape = _shape(found)
    dtype, typed_field = _type(found)
    values = _raw(found, dtype) if _RAW_DATA in found else _typed(found, dtype, typed_field)
    if len(values) != math.prod(shape):
        raise BundleError(
            f"the tensor holds {len(values)} elements; expected {math.prod(shape)} for its "
            f"dimensions {list(shape)}"
        )
    try:
        return values.reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # no elements, but dimensions beyond any address
        raise BundleError(f"the tensor's dimensions are {list(shape)}: {error}") from None


def write_tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return the array as a serialized TensorProto.

    Raises:
        BundleError: if its dtype is not one that read_tensor knows.
    """
    codes = {dtype.newbyteorder("="): code for code, (dtype, _) in _TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in codes)
        raise BundleError(f"cannot write a tensor of {array.dtype}; expected one of {known}")
    little_endian = np.ascontiguousarray(array, _TYPES[code][0])
    return b"".join(
        [
            *(encode_varint(_DIMS, size) for size in array.shape),
            encode_varint(_DATA_TYPE, code),
            encode_bytes(_NAME, name.encode()),
            encode_bytes(_RAW_DATA, little_endian.tobytes()),
        ]
    )


def _shape(found: _Fields) -> tuple[int, ...]:
    shape = tuple(_integers(found.get(_DIMS, [])))
    # A negative dimension arrives as one of 2^63 and more.
    if len(shape) > _MOST_DIMENSIONS or any(size >= 1 << 31 for size in shape):
        shown = [size - (size >> 63 << 64) for size in shape[:_MOST_DIMENSIONS]]
        raise BundleError(
            f"the tensor's dimensions begin {shown}; expected at most {_MOST_DIMENSIONS} of them, "
            "each from 0 to 2^31 - 1"
        )
    return shape


def _type(found: _Fields) -> tuple[np.dtype[Any], int]:
    code = found.get(_DATA_TYPE, [0])[-1]
    if not isinstance(code, int) or code not in _TYPES:
        given = code if isinstance(code, int) else "no number"
        known = ", ".join(f"{code} ({dtype})" for code, (dtype, _) in _TYPES.items())
        raise BundleError(f"the tensor's data type is {given}; expected one of {known}")
    return _TYPES[code]


def _raw(found: _Fields, dtype: np.dtype[Any]) -> NDArray[Any]:
    data = _bytes(found[_RAW_DATA][-1:])
    return _from_bytes(data, dtype)


def _typed(found: _Fields, dtype: np.dtype[Any], field: int) -> NDArray[Any]:
    given = found.get(field, [])
    if field in (_FLOAT_DATA, _DOUBLE_DATA):
        return _from_bytes(_bytes(given), dtype)
    wide = np.array(list(_integers(given)), np.uint64).view(np.int64)
    stored = wide.astype("<u2" if dtype == np.float16 else dtype)
    if not np.array_equal(stored, wide):
        raise BundleError(f"the tensor holds numbers that are no {dtype}")
    return stored.view(dtype)


def _from_bytes(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(data) % dtype.itemsize:
        raise BundleError(
            f"the tensor holds {len(data)} bytes; expected a multiple of {dtype.itemsize}"
        )
    return np.frombuffer(data, dtype)


def _bytes(values: Iterable[int | memoryview]) -> bytes:
    if any(isinstance(value, int) for value in values):
        raise BundleError("the tensor's data is a number where bytes are expected")
    return b"".join(value for value in values if not isinstance(value, int))


def _integers(values: Iterable[int | memoryview]) -> Iterator[int]:
    """Yield the integers of a repeated field, packed or not."""
    for value in values:
        if isinstance(value, int):
            yield value
        else:
            yield from varints(value)
