"""Reads and writes the protobuf wire format, as far as ONNX files need it.

    message = field*    field = key value    key = varint (number << 3 | wire type)
    wire type 0: varint   1: 8 bytes   2: varint length, then as many bytes   5: 4 bytes

https://protobuf.dev/programming-guides/encoding. Bytes are passed on as views: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.errors import BundleError

__all__ = ["encode_bytes", "encode_varint", "fields", "messages", "text", "varints"]

_FIXED_SIZES = {1: 8, 5: 4}
_LARGEST_FIELD = 1 << 29  # exclusive; https://protobuf.dev/programming-guides/proto3/#assigning


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field: an int from a varint, else a view of its bytes.

    Raises:
        BundleError: if the message is cut short or is no protobuf.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < _LARGEST_FIELD:
            raise BundleError(f"not an ONNX file: it has a field of number {number}")
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == 2:
            size, position = _varint(message, position)
        elif wire_type in _FIXED_SIZES:
            size = _FIXED_SIZES[wire_type]
        else:
            raise BundleError(f"not an ONNX file: it has a field of wire type {wire_type}")
        if size > len(message) - position:
            raise _cut_short()
        yield number, message[position : position + size]
        position += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the bytes of each field of the number: messages, texts or bytes.

    Raises:
        BundleError: as `fields`, and if such a field is a number.
    """
    for given, value in fields(message):
        if given == number:
            if isinstance(value, int):
                raise BundleError(f"not an ONNX file: its field {number} is a number")
            yield value


def text(message: memoryview, number: int) -> str:
    """Return the text of the field; "" if there is none.

    Raises:
        BundleError: as `messages`.
    """
    return "".join(bytes(value).decode(errors="replace") for value in messages(message, number))


def varints(packed: memoryview) -> Iterator[int]:
    """Yield the varints of a packed repeated field, as unsigned 64-bit integers.

    Raises:
        BundleError: if it is cut short.
    """
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield value


def encode_varint(number: int, value: int) -> bytes:
    """Return a varint field; the value is not negative."""
    return _encode(number << 3) + _encode(value)


def encode_bytes(number: int, value: bytes) -> bytes:
    """Return a field that holds bytes, text or a message."""
    return _encode(number << 3 | 2) + _encode(len(value)) + value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise _cut_short()
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise BundleError("not an ONNX file: it has a number of more than ten bytes")


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _cut_short() -> BundleError:
    return BundleError("not a whole ONNX file: it was cut short")
