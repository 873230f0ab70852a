import dataclasses
import json
import shutil

import pytest

from runtime.benchmark.document import read_benchmark
from runtime.benchmark.plan import Plan
from runtime.benchmark.run_benchmark import Request, run_benchmark
from runtime.benchmark.tuning import Tuning, read_tuning
from runtime.bundle import TUNING_FILE, Bundle
from runtime.cli import main
from runtime.errors import OptionError
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.schema import from_json, to_json
from runtime.terminal import Screen
from runtime.verification.verify import verify

QUIET = Screen(quiet=True)


@pytest.fixture
def folder(two_variants, tmp_path):
    """Return the folder of a bundle beside which results may be written."""
    return shutil.copytree(two_variants.folder, tmp_path / "tiny")


@pytest.fixture(scope="module")
def tuned(two_variants, tmp_path_factory, hurry):
    """Return the folder of a bundle that was tuned here; nobody changes it."""
    folder = tmp_path_factory.mktemp("tuned") / "tiny"
    shutil.copytree(two_variants.folder, folder)
    request = Request(plan=Plan(batches=(3,), threads=(2,), pace=hurry), goal="throughput")
    run_benchmark(Bundle.load(folder), request, QUIET)
    return folder


@pytest.fixture
def tuned_folder(tuned, tmp_path):
    """Return the folder of a tuned bundle that a test may change."""
    return shutil.copytree(tuned, tmp_path / "tuned")


def retune(folder, **changes):
    """Publish the bundle with another tuning."""
    tuning = from_json(Tuning, (folder / TUNING_FILE).read_bytes(), TUNING_FILE)
    changed = dataclasses.replace(tuning, **changes)
    add_to_bundle(folder, {TUNING_FILE: to_json(changed)}, {})


def test_tuning_becomes_part_of_the_bundle(tuned):
    bundle = Bundle.load(tuned)
    assert TUNING_FILE in bundle.manifest.files
    assert verify(bundle).passed
    tuning, remark = read_tuning(bundle)
    assert (tuning.variant, tuning.threads, tuning.batch) == ("fp32", 2, 3)
    assert remark == "tuned for throughput on this machine: fp32, batch 3, 2 threads"


def test_classify_uses_the_tuning_and_says_so(tuned_folder, photographs, capsys):
    retune(
        tuned_folder,
        variant="fp16",
        sha256=Bundle.load(tuned_folder).manifest.files["model.fp16.onnx"].sha256,
    )
    image = str(photographs[0])
    assert main(["classify", str(tuned_folder), image]) == 0
    assert capsys.readouterr().err == (
        "tuned for throughput on this machine: fp16, batch 3, 2 threads\n"
    )


@pytest.mark.parametrize("command", ["classify", "evaluate"])
def test_the_provider_is_part_of_the_tuning(tuned_folder, photographs, tmp_path, capsys, command):
    pytest.importorskip("onnxruntime_ep_openvino")
    retune(tuned_folder, provider="openvino")
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{photographs[0]},cat\n")
    data = {"classify": [str(photographs[0])], "evaluate": ["--data", str(labels)]}[command]
    assert main([command, str(tuned_folder), *data, "--json"]) == 0
    said = capsys.readouterr()
    assert "tuned for throughput on this machine: fp32 on openvino, batch 3, 2 threads" in said.err
    assert "onnxruntime openvino" in said.out


@pytest.mark.parametrize("words", [["--variant", "fp32"], ["--provider", "cpu"]])
def test_explicit_options_win_over_the_tuning(tuned, photographs, capsys, words):
    assert main(["classify", str(tuned), str(photographs[0]), *words]) == 0
    assert capsys.readouterr().err == ""


def test_tuning_of_another_machine_is_not_used_and_said_to_be_there(
    tuned_folder, photographs, machine, capsys
):
    retune(tuned_folder, machine=dataclasses.replace(machine, cores=96))
    assert main(["classify", str(tuned_folder), str(photographs[0]), "--quiet"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: its tuning.json is of another machine and is not used (cores:")
    assert line.endswith("--tune throughput")


def test_tuning_of_another_model_is_not_used(tuned_folder, photographs, capsys):
    retune(tuned_folder, sha256="0" * 64)
    assert main(["classify", str(tuned_folder), str(photographs[0])]) == 0
    assert "is of another 'fp32' and is not used" in capsys.readouterr().err


def test_altered_tuning_is_an_error(tuned_folder, photographs, capsys):
    file = tuned_folder / TUNING_FILE
    file.write_bytes(file.read_bytes().replace(b'"fp32"', b'"fp16"'))
    assert main(["classify", str(tuned_folder), str(photographs[0])]) == 2
    assert "tuning.json' was altered" in capsys.readouterr().err


def test_bundle_without_a_tuning_says_nothing_of_it(two_variants, photographs, capsys):
    assert main(["classify", str(two_variants.folder), str(photographs[0])]) == 0
    assert capsys.readouterr().err == ""
    assert read_tuning(two_variants) == (None, "")


def test_command_writes_what_it_shows(folder, capsys):
    words = ["bench", str(folder), "--variant", "fp16", "--batch", "2", "--threads", "1"]
    assert main([*words, "--json", "--quiet"]) == 0
    shown = json.loads(capsys.readouterr().out)
    found = read_benchmark(folder.with_name("tiny.bench.json"))
    assert json.loads(to_json(found)) == shown
    (measured,) = found.measurements
    assert (measured.case.name, measured.case.batch, measured.case.threads) == ("fp16", 2, 1)


def test_comparison_with_an_older_benchmark_is_shown(folder, hurry, capsys):
    request = Request(plan=Plan(batches=(1,), variants=("fp32",), pace=hurry))
    run_benchmark(Bundle.load(folder), request, QUIET)
    old = folder.with_name("tiny.bench.json").rename(folder.with_name("old.json"))
    words = ["bench", str(folder), "--batch", "1", "--compare", str(old)]
    assert main(words) == 0
    table = capsys.readouterr().out.split("\n\n")[1]
    assert table.splitlines()[0].split()[0] == "compared"
    assert len(table.strip().splitlines()) == 3


def test_benchmark_of_an_unlike_machine_is_refused_before_anything_runs(folder, hurry, machine):
    request = Request(plan=Plan(batches=(1,), variants=("fp32",), pace=hurry))
    found, _, _ = run_benchmark(Bundle.load(folder), request, QUIET)
    other = dataclasses.replace(found, machine=dataclasses.replace(machine, cores=96))
    old = folder.with_name("old.json")
    old.write_bytes(to_json(other))
    folder.with_name("tiny.bench.json").unlink()
    with pytest.raises(OptionError, match="unlike machines do not compare: cores: "):
        run_benchmark(Bundle.load(folder), dataclasses.replace(request, compare=old), QUIET)
    assert not folder.with_name("tiny.bench.json").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--variant", "int4"], "has no variant 'int4'"),
        (["--variant", "int4", "--compare", "missing.json"], "has no variant 'int4'"),
        (["--engine", "fp32-trt", "--compare", "missing.json"], "has no engine 'fp32-trt'"),
        (["--batch", "9" * 5000], "--batch: given '999"),
        (["--batch", "0"], "given batches (0,)"),
        (["--size", "-8"], "sizes (-8,)"),
        (["--threads", "-1"], "given threads (-1,)"),
        (["--provider", "tpu"], "expected one of cpu"),
        (["--tune", "memory"], "--tune: given 'memory'; expected latency or throughput"),
        (["--accuracy-floor", "0.9"], "goes with --tune"),
        (["--tune", "latency", "--accuracy-floor", "nan"], "given nan; expected a share of 0 to 1"),
        (["--tune", "latency", "--accuracy-floor", "0.9"], "needs an evaluation"),
        (["--tune", "latency", "--accuracy-floor", "90"], "perhaps 0.9"),
        (["--compare", "missing.json"], "cannot read the benchmark 'missing.json'"),
        (["--output", "."], "it is a folder; name a file"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_status_2(folder, capsys, words, expected):
    assert main(["bench", str(folder), *words]) == 2
    shown = capsys.readouterr()
    assert expected in shown.err.splitlines()[-1]
    assert shown.out == ""
