import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from runtime.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(capsys):
    """Return a function that runs the command line and returns status, stdout and stderr."""

    def run(*argv):
        status = main([str(argument) for argument in argv])
        return status, *capsys.readouterr()

    return run


def start(*argv, **options):
    command = [sys.executable, "-m", "runtime", *map(str, argv)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen(command, **{**pipes, **options})


def flip_last_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_photographs_are_named_in_a_table(cli, tiny_bundle, photographs):
    status, out, err = cli("classify", tiny_bundle.folder, *photographs, "--top", 3)
    assert (status, err) == (0, "")
    header, rule, *rows = out.splitlines()
    assert header.split() == ["image", "class", "probability"]
    assert set(rule) == {"-", " "}
    assert len(rows) == 6
    assert [row.split()[0].endswith(".jpg") for row in rows] == [True, False, False] * 2
    assert all(row.endswith("%") for row in rows)
    assert max(map(len, out.splitlines())) <= 80


def test_photographs_are_named_in_one_json_document(cli, tiny_bundle, photographs, tmp_path):
    missing = tmp_path / "missing.jpg"
    status, out, _ = cli("classify", tiny_bundle.folder, *photographs, missing, "--json")
    assert status == 1
    document = json.loads(out)
    assert document["bundle"] == str(tiny_bundle.folder)
    assert document["model"] == "tiny"
    assert (document["variant"], document["runner"]) == ("fp32", "onnxruntime cpu")
    *named, failed = document["images"]
    assert [entry["image"] for entry in named] == [str(path) for path in photographs]
    first = named[0]["classes"][0]
    assert set(first) == {"label", "index", "probability"}
    assert sum(ranked["probability"] for ranked in named[0]["classes"]) <= 1
    assert failed == {"image": str(missing), "error": f"{missing}: no such file; expected an image"}


def test_folder_and_pattern_stand_for_their_images(cli, tiny_bundle, photographs):
    folder = photographs[0].parent
    for path in (folder, folder / "*.jpg"):
        status, out, _ = cli("classify", tiny_bundle.folder, path, "--top", 1, "--json")
        assert status == 0
        assert len(json.loads(out)["images"]) == len(photographs)


def test_bad_image_among_good_ones_is_reported_and_the_rest_go_on(
    cli, tiny_bundle, photographs, tmp_path
):
    (tmp_path / "empty.png").touch()
    status, out, err = cli(
        "classify", tiny_bundle.folder, photographs[0], tmp_path / "empty.png", photographs[1]
    )
    assert status == 1
    assert out.count(".jpg") == 2
    warning, verdict = err.splitlines()
    assert warning.startswith(f"warning: skipped {tmp_path / 'empty.png'}: ")
    assert verdict == "error: 1 of 3 images could not be read"


def test_only_image_that_cannot_be_read_is_one_line(cli, tiny_bundle, tmp_path):
    status, out, err = cli("classify", tiny_bundle.folder, tmp_path / "nothing.png")
    assert (status, out) == (2, "")
    assert err == f"error: {tmp_path / 'nothing.png'}: no such file; expected an image\n"


def test_no_readable_image_among_several_is_an_error_not_a_verdict(cli, tiny_bundle, tmp_path):
    status, out, err = cli("classify", tiny_bundle.folder, tmp_path / "a.png", tmp_path / "b.png")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == "error: none of 2 images could be read"


def bomb(path):
    # A PNG of 30,000 x 30,000 pixels of 48 bits: a few bytes that would decode to 5 GB.
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 16, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data, b"IEND")
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def dot(path):
    Image.new("RGB", (1, 1)).save(path)


def not_an_image(path):
    path.write_text("no image")


@pytest.mark.parametrize(
    ("make", "reason"), [(bomb, "decompression bomb"), (dot, "1x1"), (not_an_image, "not an image")]
)
def test_image_that_must_not_be_read_is_one_line(cli, tiny_bundle, tmp_path, make, reason):
    make(tmp_path / "image.png")
    status, out, err = cli("classify", tiny_bundle.folder, tmp_path / "image.png")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'image.png'}: ")
    assert reason in err
    assert err.count("\n") == 1


NOT_A_BUNDLE = {
    "missing folder": (lambda folder: shutil.rmtree(folder), "there is no bundle"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "is not a bundle"),
    "manifest cut short": (
        lambda folder: os.truncate(folder / "manifest.json", 100),
        "not valid JSON",
    ),
    "path outside": (
        lambda folder: (folder / "manifest.json").write_text(
            (folder / "manifest.json").read_text().replace('"parity.json"', '"../parity.json"')
        ),
        "'../parity.json' leads outside the bundle",
    ),
    "other schema": (
        lambda folder: (folder / "manifest.json").write_text('{"schema_version": 2}'),
        "schema version 2",
    ),
}


@pytest.mark.parametrize("fault", NOT_A_BUNDLE)
@pytest.mark.parametrize("command", ["classify", "verify"])
def test_nothing_trustworthy_is_one_line_and_status_2(
    cli, tiny_folder, photographs, fault, command
):
    spoil, message = NOT_A_BUNDLE[fault]
    spoil(tiny_folder)
    images = photographs if command == "classify" else []
    status, out, err = cli(command, tiny_folder, *images)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


ALTERED = {
    "changed byte": (lambda folder: flip_last_bit(folder / "model.onnx"), "SHA-256"),
    "missing file": (lambda folder: (folder / "model.onnx").unlink(), "lacks 'model.onnx'"),
}


@pytest.mark.parametrize("fault", ALTERED)
def test_altered_bundle_classifies_nothing_and_fails_verification(
    cli, tiny_folder, photographs, fault
):
    spoil, message = ALTERED[fault]
    spoil(tiny_folder)
    status, out, err = cli("classify", tiny_folder, photographs[0])
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    status, out, err = cli("verify", tiny_folder)
    assert status == 1
    assert "DIFFERS" in out
    assert err.startswith(f"error: '{tiny_folder}' differs in model.onnx: given ")
    assert message in err
    assert err.count("\n") == 1


def test_sound_bundle_is_verified(cli, tiny_bundle):
    status, out, err = cli("verify", tiny_bundle.folder)
    assert (status, err) == (0, "")
    assert "DIFFERS" not in out
    assert out.splitlines()[-1].startswith(f"{tiny_bundle.folder} is what was published: all 13 ")


def test_verification_is_silent_when_asked_to_be_unless_something_differs(cli, tiny_folder):
    assert cli("verify", tiny_folder, "--quiet") == (0, "", "")
    (tiny_folder / "extra").touch()
    status, out, err = cli("verify", tiny_folder, "--quiet")
    assert (status, out) == (1, "")
    assert "unlisted files: given extra; expected none" in err


def test_verification_as_json_names_every_check(cli, tiny_folder):
    flip_last_bit(tiny_folder / "parity.json")
    status, out, _ = cli("verify", tiny_folder, "--json")
    document = json.loads(out)
    assert status == 1
    assert document["passed"] is False
    assert document["runners"] == ["fp32 in onnxruntime cpu"]
    assert [check["name"] for check in document["checks"] if not check["passed"]] == ["parity.json"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("classify", ["nowhere.png"]),
        ("evaluate", ["--data", "nowhere"]),
        ("bench", ["--compare", "nowhere.json"]),
        ("verify", []),
        ("serve", ["nowhere"]),
    ],
)
def test_a_provider_that_does_not_exist_is_told_before_anything_is_looked_at(
    cli, tiny_folder, command, words
):
    flip_last_bit(tiny_folder / "model.onnx")
    status, out, err = cli(command, tiny_folder, *words, "--provider", "abacus")
    assert (status, out) == (2, "")
    assert err.startswith("error: provider: given 'abacus'; expected one of cpu, cuda, tensorrt")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variant", "int4"], "has no variant 'int4'; it has: fp32"),
        (["--provider", "abacus"], "provider: given 'abacus'; expected one of cpu, cuda, tensorrt"),
        (["--top", "0"], "given top 0"),
        (["--batch", "0"], "batch 0"),
        (["--top", "many"], "Invalid value for '--top'"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_option_that_cannot_work_is_one_line(cli, tiny_bundle, photographs, options, message):
    status, out, err = cli("classify", tiny_bundle.folder, photographs[0], *options)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="the GPU may be willing here")
def test_unwilling_provider_is_one_line_and_a_fallback_is_said_aloud(cli, tiny_bundle, photographs):
    for command in (
        ["verify", tiny_bundle.folder],
        ["classify", tiny_bundle.folder, photographs[0]],
    ):
        status, out, err = cli(*command, "--provider", "cuda")
        assert (status, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    status, out, err = cli(*command, "--provider", "cuda", "--allow-fallback", "--quiet")
    assert status == 0
    assert err.startswith("warning: ")
    assert "running on cpu instead" in err


def test_labels_of_a_hostile_bundle_cannot_command_the_terminal(
    cli, publish_tiny, photographs, tmp_path
):
    labels = tuple(f"\x1b[2J{index}\n" for index in range(10))
    bundle = publish_tiny(tmp_path / "tiny", labels=labels)
    status, out, _ = cli("classify", bundle.folder, photographs[0], "--top", 1)
    assert status == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize("argv", [["--help"], ["classify", "--help"], ["verify", "--help"]])
def test_help_is_plain_text_of_80_columns(cli, argv):
    status, out, err = cli(*argv)
    assert (status, err) == (0, "")
    assert out.startswith("Usage: python -m runtime")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_process_ends_with_the_same_status_and_all_its_output(tiny_bundle, photographs):
    child = start("classify", tiny_bundle.folder, *photographs * 50, "--json")
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert len(json.loads(out)["images"]) == 100
    child = start("classify", tiny_bundle.folder, "missing.png")
    assert child.communicate() == ("", "error: missing.png: no such file; expected an image\n")
    assert child.returncode == 2


def test_reader_that_leaves_early_ends_it_quietly(tiny_bundle, photographs):
    child = start("classify", tiny_bundle.folder, *photographs * 100)
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 141


def test_interrupted_at_any_moment_it_says_so_in_one_line(tiny_bundle, photographs):
    arguments = ["classify", tiny_bundle.folder, *photographs * 100]
    begin = time.monotonic()
    start(*arguments).communicate()
    seconds = time.monotonic() - begin  # however fast the machine is
    rng = random.Random(0)
    told = 0
    for _ in range(100):
        child = start(*arguments)
        time.sleep(rng.uniform(0.05, 0.7) * seconds)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        if child.returncode == 130:
            assert err == "error: interrupted\n"
            told += 1
        else:  # the interpreter itself was still starting, or the work was done
            assert child.returncode in (-signal.SIGINT, 0, 1)
        if told == 5:
            break
    else:
        pytest.fail(f"{told} of 100 interruptions were told")
