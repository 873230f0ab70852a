"""AMX counts only where the processor has it and the kernel gives it."""

import dataclasses
import platform
import subprocess
import sys

import numpy as np
import pytest
from onnx import numpy_helper, parser

from runtime.amx import has_amx
from runtime.open_runner import open_runner
from runtime.vnni import CPUINFO, processor_flags

REFUSE_TILES = """
import ctypes, struct
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
# arch_prctl(ARCH_REQ_XCOMP_PERM, ...) fails with EPERM, whatever else is asked is allowed.
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, 158), (0x20, 0, 0, 16), (0x15, 0, 1, 0x1023),
         (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p).value)
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
"""
"""A sandbox, by seccomp: https://docs.kernel.org/userspace-api/seccomp_filter.html."""

needs_amx = pytest.mark.skipif(not has_amx(), reason="needs a processor with AMX")


def child(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def wide_int8():
    """Return an int8 convolution of 128 channels and 588 products a sum, and averages of it."""
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[batch, 3, height, width] images) => (float[batch, 128, 1, 1] logits)
        <float s = {0.03}, uint8 o = {120}, float big = {4.0}>
        {
            q = QuantizeLinear(images, s, o)
            d = DequantizeLinear(q, s, o)
            w = DequantizeLinear<axis = 0>(weights, scales, zeros)
            c = Conv(d, w)
            cq = QuantizeLinear(c, big, o)
            cd = DequantizeLinear(cq, big, o)
            logits = GlobalAveragePool(cd)
        }
    """)
    rng = np.random.default_rng(1)
    for name, content in {
        "weights": rng.integers(-127, 128, (128, 3, 14, 14)).astype(np.int8),
        "scales": rng.uniform(0.01, 0.02, 128).astype(np.float32),
        "zeros": np.zeros(128, np.int8),
    }.items():
        model.graph.initializer.append(numpy_helper.from_array(content, name))
    return model


def test_a_processor_without_the_flag_has_none(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx512_vnni amx_tile amx_bf16\n")
    assert not has_amx(tmp_path / "cpuinfo")
    assert not has_amx(tmp_path / "none")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is of x86-64")
def test_there_is_none_that_the_processor_does_not_tell_of():
    assert "amx_int8" in processor_flags(CPUINFO) or not has_amx()


@needs_amx
def test_where_a_sandbox_refuses_the_tiles_there_is_none():
    ask = "from runtime.amx import has_amx; print(has_amx())"
    assert child(ask) == "True"
    assert child(REFUSE_TILES + ask) == "False"


@needs_amx
def test_int8_answers_the_same_with_tiles_and_without(publish_tiny, tmp_path):
    def place(manifest):
        placed = dataclasses.replace(manifest.variants["fp32"], placement="onnxruntime")
        return dataclasses.replace(manifest, variants={"fp32": placed})

    bundle = publish_tiny(
        tmp_path / "b",
        change_model=lambda model: model.CopyFrom(wide_int8()),
        change_manifest=place,
    )
    images = np.random.default_rng(2).standard_normal((3, 3, 20, 17)).astype(np.float32)
    with_tiles = open_runner(bundle).logits(images)
    assert with_tiles.std() > 1
    without = open_runner(bundle, cpuinfo=tmp_path / "none").logits(images)
    np.testing.assert_array_equal(with_tiles, without)
