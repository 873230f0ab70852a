import dataclasses

import pytest

from runtime.building.orders import EngineOrder
from runtime.building.preflight import Machine, look_around, preflight
from runtime.cuda.gpu import Gpu, find_gpu
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.manifest import Engine
from runtime.precision import PrecisionPromise

ORIN = Gpu(name="Orin", sm="sm87", memory_mib=7620, cuda="12.6", integrated=True)
JETSON = Machine(
    name="a Jetson", gpu=ORIN, memory_mib=5000, swap_mib=0, tensorrt={"tensorrt": "10.3.0"}
)
DESKTOP = dataclasses.replace(
    JETSON, gpu=Gpu(name="RTX 4090", sm="sm89", memory_mib=24000, cuda="13.0")
)
WEIGHTS = 100 << 20


def order(precision="float32", profile="1:8:32", **options):
    profiles = (parse_profile(profile, 3, 224),)
    return EngineOrder(
        name="engine",
        engine=Engine(file="engine.plan", variant="fp32"),
        promise=PrecisionPromise(height=224, width=224, macs={precision: 10**9}),
        options=EngineOptions(profiles=profiles, **options),
    )


def obstacles(machine, *arguments, **options):
    return "; ".join(preflight(order(*arguments, **options), WEIGHTS, machine).obstacles)


def test_what_fits_has_no_obstacles():
    assert preflight(order(), WEIGHTS, JETSON).obstacles == ()


def test_where_memory_is_shared_the_workspace_is_limited_to_part_of_what_is_left():
    checked = preflight(order(), WEIGHTS, JETSON)
    left = 5000 - checked.memory.to_build
    assert checked.workspace_mib == 1024 <= left / 2
    assert "the workspace is limited to 1024 MiB" in checked.notes[0]


def test_a_workspace_that_was_asked_for_is_kept():
    assert preflight(order(workspace_mib=300), WEIGHTS, JETSON).workspace_mib == 300


def test_a_gpu_with_memory_of_its_own_keeps_tensorrts_workspace():
    assert preflight(order(), WEIGHTS, DESKTOP).workspace_mib is None


def test_too_little_memory_is_told_in_numbers():
    machine = dataclasses.replace(JETSON, memory_mib=1500)
    assert "1,500 MiB and 0 MiB of swap are free; close programs" in obstacles(machine)


def test_no_room_for_the_workspace_is_an_obstacle():
    assert "or the workspace" in obstacles(JETSON, workspace_mib=4000)


def test_swap_helps_and_is_told():
    machine = dataclasses.replace(JETSON, memory_mib=1500, swap_mib=4000)
    checked = preflight(order(), WEIGHTS, machine)
    assert checked.obstacles == ()
    assert "it will use swap" in checked.notes[-1]


def test_a_batch_larger_than_the_gpu_is_an_obstacle():
    assert "the RTX 4090 has 24,000 MiB" in obstacles(DESKTOP, profile="1:8:4096")


def test_without_a_gpu_tensorrt_cannot_build():
    machine = dataclasses.replace(JETSON, gpu=None)
    assert "no NVIDIA GPU answers here" in obstacles(machine)


def test_a_dla_wants_float16():
    assert "choose the float16 variant" in obstacles(JETSON, profile="4", dla_core=0)
    assert obstacles(JETSON, "float16", profile="4", dla_core=0) == ""
    assert "choose the float16" in obstacles(JETSON, "int8", profile="4", dla_core=0)


def test_a_desktop_has_no_dla():
    assert "the RTX 4090 (sm89) has no DLA" in obstacles(DESKTOP, "float16", "4", dla_core=0)


@pytest.mark.parametrize(
    ("version", "knows"),
    [("10.7.0", True), ("10.16.2", False), ("11.4.0.106", False), ("11.4.1", True)],
)
def test_some_releases_of_tensorrt_know_no_dla(version, knows):
    machine = dataclasses.replace(JETSON, tensorrt={"tensorrt": version})
    found = obstacles(machine, "float16", "4", dla_core=0)
    assert ("knows no DLA" in found) != knows


def test_turing_cannot_have_float32():
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
    machine = dataclasses.replace(JETSON, tensorrt={"tensorrt_rtx": "1.7.1.116"})
    rtx = {"flavour": "tensorrt_rtx", "target_sms": ("sm75",)}
    assert "build the float16 variant" in obstacles(machine, **rtx)
    assert obstacles(machine, "float16", **rtx) == ""


def test_a_card_that_the_library_does_not_know_is_an_obstacle():
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
    found = obstacles(look_around(), flavour="tensorrt_rtx", target_sms=("sm99",))
    assert "has no 'sm99'; it has: " in found
    assert obstacles(look_around(), flavour="tensorrt_rtx", target_sms=("sm86",)) == ""


def test_this_machine_can_be_looked_at():
    machine = look_around()
    assert machine.gpu == find_gpu()
    assert machine.memory_mib is None or machine.memory_mib > 0
