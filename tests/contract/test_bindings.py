"""Everything this project touches of TensorRT exists in each release, or is asked for first.

mypy is the judge. Its stub generator writes down what the real bindings of a release offer, and
mypy checks the modules of `runtime` against that: every class, member, enum and argument, those of
the interfaces they implement too. `hasattr` makes a member known in its branch, so what a release
lacks may be named behind a guard, and only there. Nothing is listed by hand: what is checked is
what the modules say.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USES = re.compile(r"^    import (tensorrt|tensorrt_rtx)$", re.MULTILINE)

PROBE_FILE = Path("runtime/probe.py")
# A module like ours, with faults; behind each, the releases in which it is one.
PROBE = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import tensorrt

def probe(trt: object, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig) -> None:
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_flag(trt.BuilderFlag.FP16)  # 11.4.0.106 1.7.1.116
    config.set_flag(trt.DeviceType.DLA)  # every release
    builder.build_serialized_network(config)  # every release
    builder.build_everything()  # every release
    config.num_compute_capabilities = 1  # 10.3.0 10.13.3.9 11.4.0.106
    trt.ComputeCapability.SM86  # 10.3.0 10.13.3.9 11.4.0.106
    if hasattr(trt, "ComputeCapability") and hasattr(config, "num_compute_capabilities"):
        config.num_compute_capabilities = int(trt.ComputeCapability.SM86)

class Monitor(trt.IProgressMonitor):
    def phase_start(self, phase: str, steps: int) -> None: ...  # every release
"""


def users():
    """Our modules that touch TensorRT, and the flavour they are for; "tensorrt" is both."""
    found = {m: USES.search(m.read_text()) for m in sorted((ROOT / "runtime").rglob("*.py"))}
    return {module.relative_to(ROOT): use[1] for module, use in found.items() if use}


@pytest.fixture(scope="session")
def complaints(bindings, request, tmp_path_factory):
    """What mypy has to say of our modules and of the probe, by file."""
    folder = tmp_path_factory.mktemp("contract")
    write_stub(bindings, folder)
    shutil.copytree(ROOT / "runtime", folder / "runtime", ignore=shutil.ignore_patterns("__pyca*"))
    (folder / PROBE_FILE).write_text(PROBE)
    checked = [folder / PROBE_FILE]
    for module, flavour in users().items():
        if flavour in ("tensorrt", bindings.flavour):
            checked.append(folder / module)
    for module in checked:
        # `trt` is whichever flavour was loaded, which a type checker cannot follow.
        text = re.sub(r"\btrt([.,])", r"tensorrt\1", module.read_text())
        module.write_text(re.sub(r"\btensorrt_rtx(\.[A-Z]|$)", r"tensorrt\1", text, flags=re.M))
    cache = request.config.cache.mkdir("mypy-contract")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", str(cache)]
    command += ["--ignore-missing-imports", "--follow-imports=silent", "--no-error-summary"]
    command += [str(module.relative_to(folder)) for module in checked]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = {}
    for line in run.stdout.splitlines():
        place, _, message = line.partition(": error: ")
        if message:
            found.setdefault(Path(place.split(":")[0]), []).append(f"{place}: {message}")
    assert PROBE_FILE in found, run.stdout + run.stderr
    return found


def write_stub(bindings, folder):
    module = f"{bindings.flavour}_bindings.{bindings.flavour}"
    command = [sys.executable, "-c", "from mypy.stubgen import main; main()", "--quiet"]
    command += ["--inspect-mode", "--module", module, "--output", str(folder / "generated")]
    subprocess.run(command, env=bindings.environment, check=True)
    stub = next((folder / "generated").rglob(f"{bindings.flavour}.pyi")).read_text()
    # A variable that hides the type of so many results.
    stub = stub.replace("bool: DataType\n", "")
    # Newer bindings say that they take whatever has __int__; to an implementation they give int.
    stub = stub.replace("typing.SupportsInt", "int")
    # Not valid Python; no concern of ours.
    stub = re.sub(r"(power: Weights = \.\.\., channel_axis: int)\)", r"\1 = ...)", stub)
    # Protocols that do not show in a type's members; the next test but one proves the first.
    stub = stub.replace("class Dims:", "class Dims:\n    def __iter__(self) -> Iterator[int]: ...")
    buffer = "class IHostMemory:\n    def __buffer__(self, flags: int, /) -> memoryview: ..."
    stub = stub.replace("class IHostMemory:", buffer)
    (folder / "tensorrt").mkdir()
    header = "from collections.abc import Iterator\n"
    (folder / "tensorrt" / "__init__.pyi").write_text(header + stub)


def test_every_use_of_tensorrt_exists_in_the_release_or_is_guarded(complaints):
    ours = {file: lines for file, lines in complaints.items() if file in users()}
    assert not ours, "\n".join(line for lines in ours.values() for line in lines)


def test_the_check_finds_what_a_release_lacks(bindings, complaints):
    source = PROBE.splitlines()
    found = {source[int(line.split(":")[1]) - 1] for line in complaints[PROBE_FILE]}
    faults = {bindings.version, "every"}
    assert found == {line for line in source if faults & set(line.partition("#")[2].split())}


def test_no_module_touches_tensorrt_without_being_checked():
    modules = (ROOT / "runtime").rglob("*.py")
    named = {m.relative_to(ROOT) for m in modules if re.search(r"\btrt\.", m.read_text())}
    assert named
    assert named <= users().keys()


LIVE = """
import sys
sys.path.append(sys.argv[1])
from runtime.building.monitor import BuildWatch, make_monitor
from runtime.engines.tensorrt_module import load_tensorrt

library = load_tensorrt(sys.argv[2])
trt = library.module
assert library.version == sys.argv[3], library.version

assert tuple(trt.Dims([1, 3, 8, 8])) == (1, 3, 8, 8)
assert int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) in (0, 1)

library.logger.log(trt.ILogger.Severity.ERROR, "no kernel\\nIn f at /_src/a.cpp:1")
library.logger.log(trt.ILogger.Severity.VERBOSE, "chatter")
assert library.take_errors() == "no kernel"

watch = BuildWatch(lambda share, phase: None)
monitor = make_monitor(trt, watch)
monitor.phase_start("building", None, 2)
assert monitor.step_complete("building", 0)
watch.cancelled = True
assert not monitor.step_complete("building", 1)
monitor.phase_finish("building")
"""

NULL_BUILDER = """
import sys
sys.path.append(sys.argv[1])
import runtime.building.build
from runtime.engines.tensorrt_module import load_tensorrt
runtime.building.build._make_builder(load_tensorrt(sys.argv[2]))
"""


def run(code, bindings):
    command = [sys.executable, "-W", "error", "-c", code, str(ROOT), bindings.flavour]
    command += [bindings.version]
    return subprocess.run(
        command, env=bindings.environment, capture_output=True, text=True, check=False
    )


def test_our_implementations_of_its_interfaces_live(bindings):
    live = run(LIVE, bindings)
    assert live.returncode == 0, live.stderr


def test_a_library_that_does_not_start_is_our_error(bindings):
    failed = run(NULL_BUILDER, bindings)
    assert f"EngineError: {bindings.flavour} {bindings.version} does not start" in failed.stderr
