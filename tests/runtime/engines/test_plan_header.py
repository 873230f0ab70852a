import struct

import pytest

from runtime.engines.plan_header import read_plan_header
from runtime.errors import EngineError

# Laid out as NVIDIA's trtexec reads plans: without a GPU no real one of TensorRT can be built.
TENSORRT_10_3 = b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + bytes(100)


def rtx(sms=0x04, size=64):
    head = b"vtrt" + bytes(12) + struct.pack("<Q", size) + bytes([1, 7, 1, 116])
    return (head + b"vtrt" + struct.pack("<I", sms)).ljust(64, b"\0")


def test_a_plan_of_tensorrt_tells_flavour_and_version():
    header = read_plan_header(TENSORRT_10_3)
    assert (header.flavour, header.version, header.sms) == ("tensorrt", "10.3.0", ())


@pytest.mark.parametrize(
    ("bits", "sms"),
    [
        (0x01, ("sm75",)),
        (0x1C, ("sm86", "sm89", "sm120")),
        (0x7E, ("sm80", "sm86", "sm89", "sm120", "sm121")),
    ],
)
def test_a_plan_of_tensorrt_rtx_tells_its_gpus_too(bits, sms):
    header = read_plan_header(rtx(bits))
    assert (header.flavour, header.version, header.sms) == ("tensorrt_rtx", "1.7.1", sms)


@pytest.mark.parametrize("data", [b"", b"ftrt", b"\x08\x0apytorch" * 10, TENSORRT_10_3[:20]])
def test_what_is_no_plan_is_refused(data):
    with pytest.raises(EngineError, match="not a TensorRT engine"):
        read_plan_header(data)


def test_a_plan_that_was_cut_short_is_told_by_its_own_size():
    with pytest.raises(EngineError, match="cut short: 64 of 1,000 bytes"):
        read_plan_header(rtx(size=1000))
