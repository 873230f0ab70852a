"""int8 for VNNI on a processor without it: said aloud, and of nothing else."""

import dataclasses
import platform

import pytest

from runtime.open_runner import open_runner
from runtime.vnni import has_vnni, saturation_note

PLAIN = "processor\t: 0\nflags\t\t: fpu sse4_2 avx2 avx512bw\n\nprocessor\t: 1\n"


@pytest.fixture
def cpuinfo(tmp_path):
    """Writes what Linux would tell of a processor with these flags beside the usual ones."""

    def write(flags=""):
        path = tmp_path / "cpuinfo"
        path.write_text(PLAIN.replace("avx512bw", f"avx512bw {flags}"))
        return path

    return write


@pytest.mark.parametrize(
    ("flags", "machine", "exact"),
    [
        ("avx512_vnni", "x86_64", True),
        ("avx_vnni", "AMD64", True),
        ("", "x86_64", False),
        ("vnni", "x86_64", False),
        ("", "aarch64", True),
    ],
)
def test_x86_is_exact_with_vnni_and_arm_always(cpuinfo, flags, machine, exact):
    assert has_vnni(cpuinfo(flags), machine) is exact


def test_where_nobody_can_tell_the_answer_is_no(tmp_path):
    assert not has_vnni(tmp_path / "none", "x86_64")


needs_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="integers are exact on ARM"
)


@needs_x86
def test_a_note_names_the_variant_and_what_to_do(cpuinfo):
    note = saturation_note("int8.cpu", cpuinfo())
    assert note.startswith("variant 'int8.cpu' is laid out for VNNI")
    assert "python -m runtime verify" in note
    assert "\n" not in note


@needs_x86
def test_a_runner_of_int8_for_vnni_tells_where_it_may_saturate(publish_tiny, tmp_path, cpuinfo):
    def place(manifest):
        fp32 = manifest.variants["fp32"]
        placed = dataclasses.replace(fp32, placement="onnxruntime")
        return dataclasses.replace(manifest, variants={"fp32": fp32, "int8.cpu": placed})

    bundle = publish_tiny(tmp_path / "b", change_manifest=place)
    (note,) = open_runner(bundle, "int8.cpu", cpuinfo=cpuinfo()).notes
    assert "sums of int8 products may saturate" in note
    assert open_runner(bundle, "int8.cpu", cpuinfo=cpuinfo("avx_vnni")).notes == ()
    assert open_runner(bundle, "fp32", cpuinfo=cpuinfo()).notes == ()
