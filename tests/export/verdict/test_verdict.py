"""python -m export verdict: one answer, what it rests on, and one line for what cannot work."""

import json
import os
import shutil

import pytest

from export.cli import main
from export.verdict.finding import Finding, Verdict
from runtime.evaluation.document import read_evaluation


def copy_of(bundle, folder):
    """Return a copy of the bundle, its speed beside it."""
    shutil.copy(bundle.with_name("digits.bench.json"), folder)
    return shutil.copytree(bundle, folder / "digits")


def last_error(capsys):
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    return errors[0]


@pytest.fixture(scope="module")
def judged(bundle, scans, tmp_path_factory):
    """What the command said of a sound bundle, asked beside PyTorch, with its report."""
    import contextlib
    import io

    report = tmp_path_factory.mktemp("judged") / "report.html"
    words = ["verdict", str(bundle), "--data", str(scans / "test"), "--report", str(report)]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main([*words, "--name", "resnet20-digits", "--json", "--quiet"])
    return status, json.loads(out.getvalue()), report.read_text()


def test_a_sound_bundle_may_ship_and_what_few_images_cannot_show_is_said(judged):
    status, document, _ = judged
    assert status == 0
    assert document["passed"] is True
    assert document["headline"] == "may ship, with reservations"
    assert document["counts"]["fail"] == 0
    by_area = {(f["area"], f["subject"]): f for f in document["findings"]}
    lost = by_area["accuracy lost", "fp16"]
    assert lost["status"] == "not shown"
    assert "120 images cannot exclude" in lost["remark"]
    assert lost["low"] < 0 < lost["high"]


def test_every_question_is_answered_for_every_variant(judged):
    found = {(f["area"], f["subject"]) for f in judged[1]["findings"]}
    for variant in ("fp16", "int8.trt", "int8.cpu"):
        for area in ("golden", "precision", "parity", "accuracy lost", "agreement", "speed"):
            assert (area, variant) in found
    assert {("integrity", "bundle"), ("parity", "fp32"), ("best class", "fp32")} <= found


def test_pytorch_is_asked_about_the_labelled_images_when_it_is_named(judged):
    (found,) = [f for f in judged[1]["findings"] if f["remark"].startswith("labelled images")]
    assert (found["area"], found["measured"], found["gate"]) == ("best class", "120 of 120", "all")
    assert found["low"] < found["value"] <= found["high"]


def test_what_was_kept_is_told_in_words(judged):
    remarks = {f["area"]: f["remark"] for f in judged[1]["findings"]}
    assert "as published" in remarks["integrity"]
    assert "as PyTorch answered them" in remarks["golden"]


def test_the_report_holds_all_that_was_measured(judged):
    page = judged[2]
    for part in ("depth-680", "plane-328", "sensitivity-680", "activation-0", 'class="heat"'):
        assert part in page
    assert "was not asked" not in page
    assert "layer3.2" in page
    assert judged[1]["findings"][0]["measured"] in page


def test_an_evaluation_that_lies_there_is_used_until_an_image_changes(
    bundle, judged, scans, tmp_path, capsys
):
    copied, data = copy_of(bundle, tmp_path), shutil.copytree(scans / "test", tmp_path / "data")
    words = ["verdict", str(copied), "--data", str(data)]
    assert main(words) == 0
    assert "\nevaluate " in capsys.readouterr().err
    assert main(words) == 0
    assert "evaluation of 120 images from" in capsys.readouterr().err
    written = tmp_path / "digits.evaluation.json"
    newer = written.stat().st_mtime_ns + 10**9
    image = next(data.glob("3/*.png"))
    os.utime(image, ns=(newer, newer))
    assert main(words) == 0
    assert "\nevaluate " in capsys.readouterr().err
    assert read_evaluation(written).images == 120


def test_the_table_fits_80_columns_and_what_is_amiss_comes_first(bundle, scans, capsys):
    assert main(["verdict", str(bundle), "--data", str(scans / "test"), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].startswith("not shown")
    assert any("may ship, with reservations" in line for line in lines)


def test_gates_decide(bundle, scans, tmp_path, capsys):
    words = ["verdict", str(bundle), "--data", str(scans / "test"), "--quiet"]
    gates = tmp_path / "gates.toml"
    gates.write_text('not_shown = "fail"')
    assert main([*words, "--gates", str(gates)]) == 1
    assert "must not ship: accuracy lost of fp16 is" in last_error(capsys)
    gates.write_text("[speed]\nlargest_p90_ms = 0.0001")
    assert main([*words, "--gates", str(gates)]) == 1
    assert "the gate at most 0.0001 ms" in last_error(capsys)


def test_what_was_altered_is_not_run_and_must_not_ship(bundle, judged, scans, tmp_path, capsys):
    copied = copy_of(bundle, tmp_path)
    model = copied / "model.int8.cpu.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    report = tmp_path / "report.html"
    words = ["verdict", str(copied), "--data", str(scans / "test"), "--report", str(report)]
    assert main([*words, "--quiet"]) == 1
    assert "must not ship: integrity of bundle is" in last_error(capsys)
    assert not (tmp_path / "digits.evaluation.json").exists()
    assert "Must not ship" in report.read_text()
    assert "not what was published" in report.read_text()


def test_weights_of_another_training_are_no_reference(bundle, scans, capsys):
    words = ["verdict", str(bundle), "--data", str(scans / "test"), "--quiet"]
    assert main([*words, "--name", "resnet20-digits", "--weights", "random"]) == 2
    assert "another SHA-256" in last_error(capsys)


def test_bad_input_is_one_line(bundle, scans, tmp_path, capsys):
    one, foreign, empty = (tmp_path / name for name in ("one", "foreign", "empty"))
    shutil.copytree(scans / "test" / "3", one / "3")
    shutil.copytree(scans / "test" / "3", foreign / "zebra")
    shutil.copytree(scans / "test" / "4", foreign / "4")
    empty.mkdir()
    (tmp_path / "file").write_text("")
    good = ["--data", str(scans / "test")]
    for words, said in [
        (["--data", str(one)], "all images of"),
        (["--data", str(foreign)], "zebra"),
        (["--data", str(empty)], "empty"),
        (["--data", str(tmp_path / "gone")], "gone"),
        ([*good, "--gates", str(tmp_path / "none.toml")], "cannot read"),
        ([*good, "--report", str(tmp_path / "file" / "report.html")], "is a file, not a folder"),
        ([*good, "--report", str(tmp_path)], "it is a folder; name a file"),
        ([*good, "--name", "resnet5O"], "is of resnet20-digits, given resnet5O"),
        ([*good, "--name", "resnet18"], "is of resnet20-digits, given resnet18"),
        ([*good, "--weights", "x.pth"], "--name NAME"),
    ]:
        assert main(["verdict", str(bundle), *words, "--quiet"]) == 2, words
        assert said in last_error(capsys)
    assert main(["verdict", str(tmp_path / "none"), *good]) == 2
    assert "there is no bundle" in last_error(capsys)


def test_a_bundle_without_golden_vectors_proves_nothing(bundle, judged, scans, tmp_path, capsys):
    copied = copy_of(bundle, tmp_path)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["golden"] = []
    for variant in manifest["variants"].values():
        variant["golden_tolerances"] = []
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verdict", str(copied), "--data", str(scans / "test"), "--quiet"]) == 2
    assert "has no golden vectors" in last_error(capsys)


def test_what_failed_comes_first_and_not_shown_counts_only_where_it_is_meant_to():
    def finding(status):
        return Finding(area="a", subject="fp32", measured="1", gate="0", status=status)

    def verdict(*statuses, strict=False):
        findings = tuple(map(finding, statuses))
        return Verdict(bundle="b", model="m", data="d", findings=findings, strict=strict)

    mixed = verdict("pass", "told", "not shown", "fail", "warn")
    assert [f.status for f in mixed.by_urgency] == ["fail", "not shown", "warn", "pass", "told"]
    assert not mixed.passed
    assert verdict("pass", "told").headline == "may ship"
    assert verdict("pass", "not shown").passed
    assert not verdict("pass", "not shown", strict=True).passed
