import dataclasses
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.classify_images import Request, classify_images
from runtime.cli import main
from runtime.errors import BackendError, DeployError, OptionError
from runtime.scoring.partition import Partition
from runtime.scoring.run_folder import open_run_folder
from runtime.scoring.score import ScoreRequest, score
from runtime.terminal import Screen

ROOT = Path(__file__).parents[3]
COLUMNS = ["index", "path", "labels", "probabilities", "error"]


def score_into(output, bundle, images, **request):
    request = ScoreRequest(images=str(images), **{"local": True, **request})
    return score(bundle, request, output, Screen(quiet=True))


def rows_of(output):
    table = pq.read_table(output)
    assert table.column_names == COLUMNS
    return table.sort_by("index").to_pylist()


@pytest.fixture
def listing(photographs, tmp_path):
    """A list of 300 paths in five partitions; every seventh leads nowhere."""
    names = [str(photographs[number % 2]) for number in range(300)]
    names[::7] = [f"missing-{number}.jpg" for number in range(0, 300, 7)]
    path = tmp_path / "list.txt"
    path.write_text("\n".join(names))
    return path


def test_each_image_gets_what_classify_says_of_it(tiny_bundle, photographs, tmp_path):
    report = score_into(tmp_path / "scores", tiny_bundle, photographs[0].parent, top=3)
    with classify_images(tiny_bundle, [str(p) for p in photographs], Request(top=3)) as run:
        expected = list(run.results)
    rows = rows_of(tmp_path / "scores")
    assert report.tally.images == len(rows) == len(expected)
    for row, result in zip(rows, expected, strict=True):
        assert row["path"] == str(result.image)
        assert row["labels"] == [ranked.label for ranked in result.classes]
        assert row["probabilities"] == pytest.approx([r.probability for r in result.classes])
        assert row["error"] is None


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_image_that_cannot_be_read_is_a_row_with_its_error(tiny_bundle, listing, tmp_path, batch):
    report = score_into(tmp_path / "scores", tiny_bundle, listing, batch=batch)
    rows = rows_of(tmp_path / "scores")
    assert [row["path"] for row in rows] == listing.read_text().splitlines()
    assert [row["index"] for row in rows] == list(range(300))
    for row in rows:
        missing = row["path"].startswith("missing")
        assert row["error"] == ("no such file; expected an image" if missing else None)
        assert (row["labels"] is None) == (row["probabilities"] is None) == missing
    (kind,) = report.tally.errors
    assert (kind.images, kind.first) == (43, "missing-0.jpg")


def test_model_of_fixed_batch_and_name_that_is_no_unicode(publish_tiny, photographs, tmp_path):
    bundle = publish_tiny(tmp_path / "tiny", shape=("4", "3", "16", "16"))
    image = os.fsencode(tmp_path / "tree") + b"/\xff.jpg"
    (tmp_path / "tree").mkdir()
    Path(os.fsdecode(image)).write_bytes(photographs[0].read_bytes())
    score_into(tmp_path / "scores", bundle, tmp_path / "tree")
    (row,) = rows_of(tmp_path / "scores")
    assert row["path"].endswith("/\\udcff.jpg")
    assert len(row["labels"]) == 5


def test_answer_that_is_no_number_is_an_error_of_its_image(publish_tiny, photographs, tmp_path):
    def break_weights(model):
        model.graph.initializer[2].raw_data = b"\xff" * len(model.graph.initializer[2].raw_data)

    bundle = publish_tiny(tmp_path / "tiny", change_model=break_weights)
    score_into(tmp_path / "scores", bundle, photographs[0].parent)
    assert {row["error"] for row in rows_of(tmp_path / "scores")} == {
        "the logits hold NaN or infinity; expected finite numbers"
    }


def test_finished_run_is_not_done_again_but_broken_partitions_are(tiny_bundle, listing, tmp_path):
    output = tmp_path / "scores"
    first = score_into(output, tiny_bundle, listing)
    expected = rows_of(output)
    assert score_into(output, tiny_bundle, listing).scored == 0
    truncated, removed, swapped = (output / f"part-{number:06}.parquet" for number in (0, 2, 3))
    swapped.write_bytes((output / "part-000001.parquet").read_bytes())
    truncated.write_bytes(truncated.read_bytes()[:-100])
    removed.unlink()
    (output / ".part-000004.parquet.part").write_bytes(b"PAR1")  # of a process that was killed
    report = score_into(output, tiny_bundle, listing)
    assert (report.resumed, report.scored, report.tally) == (2, 192, first.tally)
    assert rows_of(output) == expected
    assert not list(output.glob(".*"))


def test_output_of_another_run_is_refused_naming_what_differs(
    publish_tiny, listing, photographs, tmp_path
):
    output = tmp_path / "scores"
    bundle = publish_tiny(tmp_path / "tiny")
    score_into(output, bundle, listing)
    before = sorted(output.rglob("*"))
    unlabelled = publish_tiny(
        tmp_path / "unlabelled",
        change_manifest=lambda manifest: dataclasses.replace(manifest, labels=()),
    )
    for request, reason in [
        ({"top": 4}, "whose top is '5'; given '4'"),
        ({"images": photographs[0]}, "whose images is '300'; given '1'"),
        ({"bundle": publish_tiny(tmp_path / "tiny", seed=1)}, "whose model_sha256 is"),
        ({"bundle": unlabelled}, "whose labels_sha256 is"),
    ]:
        with pytest.raises(OptionError, match=reason):
            score_into(output, **{"bundle": bundle, "images": listing, **request})
    listing.write_text(listing.read_text().replace("missing-0", "missing-1"))
    with pytest.raises(OptionError, match="whose images_sha256 is"):
        score_into(output, bundle, listing)
    assert sorted(path for path in output.rglob("*") if path.suffix != ".part") == before


def test_folder_that_cannot_take_the_output_is_refused(tiny_bundle, listing, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(OptionError, match=r"holds 'thesis.tex', but no run of score"):
        score_into(tmp_path / "mine", tiny_bundle, listing)
    with pytest.raises(OptionError, match="would lie in the bundle"):
        score_into(tiny_bundle.folder / "scores", tiny_bundle, listing)
    with pytest.raises(OptionError, match="cannot write to"):
        score_into(listing / "scores", tiny_bundle, listing)
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table({"path": ["a.jpg"]}), tmp_path / "tables" / "t.parquet")
    with pytest.raises(OptionError, match=r"lies in .* whose tables are the input"):
        score_into(tmp_path / "tables" / "scores", tiny_bundle, tmp_path / "tables")
    with (
        open_run_folder(tmp_path / "busy"),
        pytest.raises(OptionError, match="another process is scoring"),
    ):
        score_into(tmp_path / "busy", tiny_bundle, listing)


def test_partition_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path):
    partition = Partition(number=0, file="", first=0, rows=1, start=0)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_run_folder(tmp_path / "scores") as folder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, unlimited[1]))  # as a disk that is full
        try:
            with pytest.raises(OptionError, match=r"part-000000.parquet': File too large; mend"):
                folder.publish(partition, bytes(4096))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert [path.name for path in folder.folder.iterdir()] == ["_run"]


def test_run_that_cannot_begin_leaves_nothing(tiny_bundle, tmp_path):
    with pytest.raises(OptionError, match="does not exist"):
        score_into(tmp_path / "new" / "scores", tiny_bundle, tmp_path / "missing")
    assert not (tmp_path / "new" / "scores").exists()


def test_model_that_was_altered_is_refused(tiny_folder, listing, tmp_path):
    from runtime.bundle import Bundle

    bundle = Bundle.load(tiny_folder)
    model = tiny_folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    with pytest.raises(DeployError, match="was altered"):
        score_into(tmp_path / "scores", bundle, listing)


@pytest.mark.parametrize("request_", [{"top": 0}, {"batch": 0}, {"address": "auto"}])
def test_request_that_cannot_work_is_refused(request_):
    with pytest.raises(OptionError):
        ScoreRequest(images="", local=True, **request_)


def test_command_says_what_became_of_the_images(capsys, tiny_bundle, listing, tmp_path):
    arguments = [
        tiny_bundle.folder,
        "--images",
        listing,
        "--output",
        tmp_path / "scores",
        "--local",
    ]
    assert main(["score", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    line, _, header, _, kind = out.splitlines()
    assert line.startswith(f"{tmp_path / 'scores'}: 300 images, 43 with an error; ")
    assert header.split() == ["images", "error", "first"]
    assert " ".join(kind.split()) == "43 no such file; expected an image missing-0.jpg"
    assert [each.split()[0] for each in err.splitlines()] == ["list", "score"]
    assert main(["score", *map(str, arguments), "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["images"], document["failed"], document["scored_images"]) == (300, 43, 0)
    assert err == ""


def test_no_image_at_all_is_a_verdict(capsys, tiny_bundle, tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg")
    arguments = [tiny_bundle.folder, "--images", tmp_path / "list.txt", "--output", tmp_path / "s"]
    assert main(["score", *map(str, arguments), "--local", "--quiet"]) == 1
    assert capsys.readouterr().err == "error: none of 2 images could be scored\n"


def start(*argv, **options):
    command = [sys.executable, "-m", "runtime", "score", *map(str, argv)]
    return subprocess.Popen(command, cwd=ROOT, text=True, **options)


def test_killed_at_any_moment_each_image_is_scored_exactly_once(tiny_bundle, listing, tmp_path):
    output = tmp_path / "scores"
    arguments = [tiny_bundle.folder, "--images", listing, "--output", output, "--local"]
    rng = random.Random(0)
    for _ in range(4):
        before = len(list(output.glob("part-*")))
        child = start(*arguments, "--batch", 1, "--quiet")
        while child.poll() is None and len(list(output.glob("part-*"))) == before:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.1)
        child.send_signal(signal.SIGKILL)
        child.wait()
        done = rows_of(output)
        assert len({row["index"] for row in done}) == len(done)
    score_into(output, tiny_bundle, listing)
    rows = rows_of(output)
    assert [row["index"] for row in rows] == list(range(300))
    assert [row["path"] for row in rows] == listing.read_text().splitlines()


@pytest.mark.parametrize(("library", "extra"), [("pyarrow", ["--local"]), ("ray", [])])
def test_without_the_library_it_says_what_to_install(
    tiny_bundle, listing, tmp_path, library, extra
):
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / f"{library}.py").write_text("raise ImportError('not here')")
    arguments = [tiny_bundle.folder, "--images", listing, "--output", tmp_path / "scores", *extra]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "shadow")}
    child = start(*arguments, "--quiet", env=environment, stderr=subprocess.PIPE)
    _, err = child.communicate()
    assert child.returncode == 2
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert "Run: pip install 'resnet-deploy[scale]'" in err


def test_ray_goes_on_where_one_process_stopped_and_is_silent(tiny_bundle, listing, tmp_path):
    output = tmp_path / "scores"
    score_into(output, tiny_bundle, listing)
    expected = rows_of(output)
    for number in (0, 1, 3):
        (output / f"part-{number:06}.parquet").unlink()
    arguments = [tiny_bundle.folder, "--images", listing, "--output", output, "--json"]
    child = start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    assert child.returncode == 0, err
    document = json.loads(out)
    assert (document["scored_images"], document["resumed_partitions"]) == (192, 2)
    assert [line.split()[0] for line in err.splitlines()] == ["list", "score"]
    assert rows_of(output) == expected


def fail_on_ray(sitecustomize, bundle, listing, folder):
    """Score on Ray where every process begins with this code; return the one line it ends with."""
    (folder / "shadow").mkdir()
    (folder / "shadow" / "sitecustomize.py").write_text(sitecustomize)
    environment = {**os.environ, "PYTHONPATH": str(folder / "shadow")}
    arguments = [bundle.folder, "--images", listing, "--output", folder / "scores", "--quiet"]
    child = start(*arguments, env=environment, stderr=subprocess.PIPE)
    _, err = child.communicate()
    assert child.returncode == 2, err
    assert err.count("\n") == 1
    return err


CRASHING_DECODER = """
import os, signal
from PIL import GifImagePlugin, Image

def crash(file, name):
    os.kill(os.getpid(), signal.SIGSEGV)

Image.register_open("GIF", crash, lambda start: start == b"crash this, deco")
"""


def test_image_that_crashes_its_decoder_is_not_tried_for_ever(tiny_bundle, listing, tmp_path):
    (tmp_path / "crash.gif").write_bytes(b"crash this, decoder")
    paths = listing.read_text().splitlines()
    listing.write_text("\n".join([*paths[:70], str(tmp_path / "crash.gif"), *paths[71:]]))
    err = fail_on_ray(CRASHING_DECODER, tiny_bundle, listing, tmp_path)
    assert err.startswith("error: the process that scores images 64 to 127 died 3 times: one of")


CRASHING_MODEL = """
import os, signal, sys

def crash(event, arguments):
    if event == "import" and arguments[0] == "onnxruntime" and "default_worker" in sys.argv[0]:
        os.kill(os.getpid(), signal.SIGSEGV)

sys.addaudithook(crash)
"""


def test_model_that_crashes_who_opens_it_is_not_opened_for_ever(tiny_bundle, listing, tmp_path):
    err = fail_on_ray(CRASHING_MODEL, tiny_bundle, listing, tmp_path)
    assert err.startswith("error: the process that opens the model died 3 times: the model crashes")


def test_cluster_that_is_not_there_is_one_line(tiny_bundle, listing, tmp_path):
    with pytest.raises(BackendError, match="cannot join the cluster at"):
        score_into(tmp_path / "scores", tiny_bundle, listing, local=False, address="127.0.0.1:9")
