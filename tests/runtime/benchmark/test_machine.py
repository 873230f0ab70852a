import dataclasses
import os
import platform
import subprocess

import pytest

from runtime.benchmark.machine import describe_machine, differences


def test_this_machine_is_as_the_system_describes_it():
    machine = describe_machine()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.system == f"{platform.system()} {platform.machine()}"
    assert machine.memory_gib > 0
    # lscpu speaks the person's language.
    env = {**os.environ, "LC_ALL": "C"}
    flags = subprocess.run(["lscpu"], env=env, capture_output=True, text=True, check=True).stdout
    assert all(f" {name}" in flags for name in machine.isa)
    assert (" avx2" in flags) == ("avx2" in machine.isa)
    assert (
        next(line for line in flags.splitlines() if "Model name" in line).split(":")[1].strip()
        in machine.cpu
    )


def test_machine_is_like_itself():
    assert differences(describe_machine(), describe_machine()) == ()


@pytest.mark.parametrize(
    ("field", "value", "phrase"),
    [
        ("cores", 1000, "cores: 1000, not"),
        ("isa", (), "isa: none, not"),
        ("cpu", "Abacus", "cpu: Abacus, not"),
        ("gpu", "Orin, sm87, 7620 MiB", "gpu: Orin, sm87, 7620 MiB, not none"),
    ],
)
def test_what_differs_is_named(field, value, phrase):
    machine = dataclasses.replace(describe_machine(), gpu="")
    (difference,) = differences(dataclasses.replace(machine, **{field: value}), machine)
    assert difference.startswith(phrase)
