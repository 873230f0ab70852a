"""Engines are built into bundles for real, with TensorRT-RTX: it needs no GPU to build."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.building.build_engines import build_engines, build_within_memory
from runtime.building.orders import EngineRequest, order_engines
from runtime.building.preflight import look_around
from runtime.bundle import Bundle
from runtime.cli import main
from runtime.cuda.gpu import find_gpu
from runtime.engines.open_engine import open_engine, read_bundled_engine
from runtime.engines.options import EngineOptions
from runtime.errors import BundleError, EngineError, EngineMemoryError
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.terminal import Screen
from runtime.verification.verify import verify

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")

QUIET = Screen(quiet=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def build(folder, *targets, flavour="tensorrt_rtx", profiles=("1:2:4",), **options):
    bundle = Bundle.load(folder)
    request = EngineRequest(
        options=EngineOptions(flavour=flavour, **options), targets=targets, profiles=profiles
    )
    orders = order_engines(bundle.manifest.variants, bundle.manifest.image, request)
    return build_engines(bundle, orders, look_around(), folder.parent / "timings", QUIET)


def test_an_engine_becomes_part_of_the_bundle(promising_folder):
    (outcome,) = build(promising_folder, "sm86")
    bundle = Bundle.load(promising_folder)
    assert bundle.unlisted() == []
    _, info = read_bundled_engine(bundle, bundle.manifest.engines["fp32-rtx"])
    assert info == outcome.info
    assert info.target_sms == ("sm86",)
    report = verify(bundle)
    assert report.passed
    assert "fp32-rtx description" in {check.name for check in report.checks}


def test_a_second_call_builds_nothing_again(promising_folder):
    build(promising_folder, "sm86")
    before = (promising_folder / "fp32-rtx.plan").stat()
    (outcome,) = build(promising_folder, "sm86")
    assert outcome.kept
    assert (promising_folder / "fp32-rtx.plan").stat().st_ino == before.st_ino


@pytest.mark.parametrize("change", [{"optimization_level": 2}, {"workspace_mib": 64}])
def test_other_options_make_another_engine(promising_folder, change):
    build(promising_folder, "sm86")
    (outcome,) = build(promising_folder, "sm86", **change)
    assert not outcome.kept
    assert not build(promising_folder, "sm89")[0].kept
    assert build(promising_folder, "sm89")[0].kept


def test_an_altered_engine_is_built_again(promising_folder):
    build(promising_folder, "sm86")
    (promising_folder / "fp32-rtx.plan").write_bytes(b"altered")
    (outcome,) = build(promising_folder, "sm86")
    assert not outcome.kept
    assert verify(Bundle.load(promising_folder)).passed


def test_a_bundle_whose_graph_was_altered_gets_no_engine(promising_folder):
    with (promising_folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="was altered"):
        build(promising_folder, "sm86")


def test_a_bundle_that_cannot_be_written_is_refused_before_the_build(promising_folder):
    (promising_folder / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"its file 'notes\.txt' is not part of the bundle"):
        build(promising_folder, "sm86")


def test_nothing_is_vouched_for_that_was_altered_meanwhile(promising_folder):
    (promising_folder / "parity.json").write_bytes(b"[]\n")
    with pytest.raises(BundleError, match=r"parity\.json' was altered"):
        add_to_bundle(promising_folder, {"more": b"more"}, {})
    assert "more" not in Bundle.load(promising_folder).manifest.files


@pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
def test_one_that_cannot_be_built_stops_no_other(promising_folder):
    (failed,) = build(promising_folder, flavour="tensorrt")
    assert "no NVIDIA GPU answers here" in str(failed.failure)
    turing, rest = build(promising_folder, "sm75", "sm86")
    assert "Turing" in str(turing.failure)
    assert rest.info is not None


def test_two_builds_at_once_leave_both_engines(promising_folder):
    with ThreadPoolExecutor(2) as pool:
        for level in (1, 2):
            name = f"level{level}"
            pool.submit(
                subprocess.run,
                [sys.executable, "-c", ADD.format(folder=str(promising_folder), name=name)],
                check=True,
            )
    bundle = Bundle.load(promising_folder)
    assert {"level1", "level2"} <= bundle.manifest.files.keys()
    assert verify(bundle).passed


ADD = """
from pathlib import Path
from runtime.publishing.add_to_bundle import add_to_bundle
for number in range(5):
    add_to_bundle(Path({folder!r}), {{"{name}": b"%d" % number}}, {{}})
"""


def test_killed_at_any_moment_the_bundle_is_whole_and_the_build_can_go_on(promising_folder):
    command = [sys.executable, "-m", "runtime", "build", str(promising_folder), "--rtx", "--quiet"]
    for delay in (0.2, 0.5, 0.8):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert verify(Bundle.load(promising_folder)).passed
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert "fp32-rtx" in Bundle.load(promising_folder).manifest.engines
    assert not list(promising_folder.parent.glob(".bundle-*"))


def test_compiled_code_that_nobody_vouched_for_is_refused(promising_folder):
    build(promising_folder, "sm86")
    (promising_folder / "fp32-rtx.plan.compiled").write_bytes(b"a program")
    bundle = Bundle.load(promising_folder)
    with pytest.raises(BundleError, match=r"\.compiled' is a program that the manifest does not"):
        open_engine(bundle, "fp32-rtx")
    assert not verify(bundle).passed


def test_an_engine_of_another_graph_is_refused(promising_folder, publish_tiny, tmp_path):
    build(promising_folder, "sm86")
    bundle = Bundle.load(promising_folder)
    name, engine = next(iter(bundle.manifest.engines.items()))
    other = publish_tiny(tmp_path / "other", seed=1)
    files = {path: bundle.read(path) for path in (engine.file, engine.info_file)}
    mixed = add_to_bundle(other.folder, files, {name: engine})
    with pytest.raises(BundleError, match=r"built from another graph than 'model\.onnx'"):
        open_engine(mixed, name)
    assert verify(mixed).first_difference.name == "fp32-rtx description"


@pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
def test_without_a_gpu_an_engine_cannot_be_opened(promising_folder):
    build(promising_folder, "sm86")
    with pytest.raises(EngineError, match="needs an NVIDIA GPU"):
        open_engine(Bundle.load(promising_folder), "fp32-rtx")


def test_memory_that_does_not_suffice_halves_the_workspace():
    tried, told = [], []

    def make(options):
        tried.append(options.workspace_mib)
        if options.workspace_mib is None or options.workspace_mib > 300:
            raise EngineMemoryError("out of memory")
        return options

    made = build_within_memory(make, EngineOptions(), told.append)
    assert tried == [None, 1024, 512, 256]
    assert made.workspace_mib == 256
    assert told[-1] == "out of memory; trying again with a workspace of 256 MiB"


def test_at_the_smallest_workspace_it_gives_up():
    def make(options):
        raise EngineMemoryError(f"out of memory with {options.workspace_mib}")

    with pytest.raises(EngineMemoryError, match=r"with 75$"):
        build_within_memory(make, EngineOptions(workspace_mib=300), lambda line: None)


def test_other_failures_are_not_tried_again():
    tried = []

    def make(options):
        tried.append(options)
        raise EngineError("no such layer")

    with pytest.raises(EngineError, match="no such layer"):
        build_within_memory(make, EngineOptions(), lambda line: None)
    assert len(tried) == 1


def test_timings_that_a_bundle_brings_are_used_if_they_were_published(promising_folder, tmp_path):
    from runtime.building.timing_cache import take_timings

    name = "timing.10.3.0.sm87.orin.cache"
    add_to_bundle(promising_folder, {name: b"timings"}, {})
    bundle = Bundle.load(promising_folder)
    assert (take_timings(bundle, tmp_path / "own") / name).read_bytes() == b"timings"
    assert (take_timings(bundle, None) / name).read_bytes() == b"timings"
    (promising_folder / name).write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        take_timings(bundle, tmp_path / "another")


def test_the_command_line_builds_and_ends_in_one_line_for_what_it_cannot(promising_folder):
    command = [sys.executable, "-m", "runtime", "build", str(promising_folder)]
    run = subprocess.run(
        [*command, "--rtx", "sm75", "sm86", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert run.returncode == 2
    assert run.stderr.strip().splitlines()[-1].startswith("error: fp32-rtx-sm75: ")
    assert '"name": "fp32-rtx",\n      "kept": false' in run.stdout
    assert dataclasses.asdict(Bundle.load(promising_folder).manifest)["engines"] == {
        "fp32-rtx": {"file": "fp32-rtx.plan", "variant": "fp32"}
    }


@pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "fp32-rtx"], "fp32-rtx.plan' needs an NVIDIA GPU, and none answers"),
        (["--engine", "fp16-rtx"], "has no engine 'fp16-rtx'; it has: fp32-rtx"),
        (["--engine", "fp32-rtx", "--provider", "cuda"], "leave --provider out"),
    ],
)
@pytest.mark.parametrize("verb", ["classify", "verify"])
def test_classify_and_verify_take_an_engine_or_say_why_not(
    promising_folder, photographs, capsys, verb, options, message
):
    build(promising_folder, "sm86")
    images = [str(photographs[0])] if verb == "classify" else []
    assert main([verb, str(promising_folder), *images, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU answers here")
@pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt_rtx"])
def test_an_engine_built_here_proves_itself_on_the_golden_inputs(promising_folder, flavour):
    pytest.importorskip(flavour)
    (outcome,) = build(promising_folder, flavour=flavour)
    assert outcome.failure is None
    bundle = Bundle.load(promising_folder)
    report = verify(bundle, engines=[outcome.name])
    assert report.passed
    assert report.runners == (f"{outcome.name} in {flavour} {outcome.info.version}",)
    assert Bundle.load(promising_folder).unlisted() == []  # what was compiled lies elsewhere
