import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.publishing.publish import check_writable, publish

# A child that publishes one whole bundle after another, each file filled with the bundle's number.
PUBLISHER = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from runtime.manifest import Manifest
from runtime.publishing.publish import publish
destination, first = Path(sys.argv[1]), int(sys.argv[2])
template = Manifest.from_json(Path(sys.argv[4]).read_bytes())
import dataclasses
print("ready", flush=True)
for number in itertools.count(first):
    files = {path: b"%d," % number * 20_000 for path in template.files}
    publish(destination, files, lambda listed: dataclasses.replace(template, files=listed))
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def start_publisher(tiny_bundle):
    children = []

    def start(destination, first=0):
        command = [sys.executable, "-c", PUBLISHER, destination, str(first), ROOT]
        child = subprocess.Popen(
            [*command, tiny_bundle.folder / "manifest.json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        children.append(child)
        assert child.stdout.readline() == b"ready\n", child.stderr.read()
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def contents(folder):
    """Return what the files of a bundle hold, after checking each against the manifest."""
    bundle = Bundle.load(folder)
    assert bundle.unlisted() == []
    return {bundle.read(path) for path in bundle.manifest.files}


def published(destination):
    """Return which bundle stands there, by the hash of a file; None where none does."""
    with contextlib.suppress(FileNotFoundError):  # before the first, or in a replaced folder
        manifest = json.loads((destination / "manifest.json").read_bytes())
        return manifest["files"]["parity.json"]["sha256"]


def staged(parent):
    return [path.name for path in parent.glob(".bundle-*")]


def test_published_bundle_holds_the_files_and_their_hashes(publish_tiny, tmp_path):
    bundle = publish_tiny(tmp_path / "new" / "tiny")
    assert Bundle.load(tmp_path / "new" / "tiny") == bundle
    assert bundle.unlisted() == []
    for path, info in bundle.manifest.files.items():
        assert bundle.inspect(path) == info
    assert os.listdir(tmp_path / "new") == ["tiny"]


def test_second_publication_replaces_the_first_whole(publish_tiny, tmp_path):
    def add(files):
        files["old.txt"] = b"only in the first"

    publish_tiny(tmp_path / "tiny", seed=1, change_files=add)
    second = publish_tiny(tmp_path / "tiny", seed=2)
    assert Bundle.load(tmp_path / "tiny") == second
    assert not (tmp_path / "tiny" / "old.txt").exists()
    assert os.listdir(tmp_path) == ["tiny"]


def test_files_are_copied_from_disk_and_hashed(publish_tiny, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"x" * 3_000_000)

    def add(files):
        files["engine/weights.bin"] = tmp_path / "weights.bin"

    bundle = publish_tiny(tmp_path / "tiny", change_files=add)
    assert bundle.read("engine/weights.bin") == b"x" * 3_000_000


@pytest.mark.parametrize("name", ["mit Leerzeichen", "模型", "a'b\"c", "x" * 255])
def test_any_name_the_file_system_takes_will_do(publish_tiny, tmp_path, name):
    publish_tiny(tmp_path / name)
    assert publish_tiny(tmp_path / name).unlisted() == []


def test_destination_may_be_an_empty_folder(publish_tiny, tmp_path):
    (tmp_path / "tiny").mkdir()
    publish_tiny(tmp_path / "tiny")
    assert Bundle.load(tmp_path / "tiny").unlisted() == []


def test_link_to_a_bundle_is_kept_and_what_it_leads_to_replaced(publish_tiny, tmp_path):
    publish_tiny(tmp_path / "disk" / "tiny", seed=1)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "tiny")
    second = publish_tiny(tmp_path / "link", seed=2)
    assert (tmp_path / "link").is_symlink()
    assert Bundle.load(tmp_path / "disk" / "tiny").manifest == second.manifest


def test_folder_that_is_no_bundle_is_never_replaced(publish_tiny, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("three years of work")
    with pytest.raises(BundleError, match=r"will not replace '.*thesis': .*no manifest\.json"):
        publish_tiny(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "three years of work"
    assert staged(tmp_path) == []


def test_manifest_of_something_else_makes_no_bundle(publish_tiny, tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web application", "icons": []}')
    with pytest.raises(BundleError, match=r"will not replace .* no schema version"):
        publish_tiny(tmp_path)
    assert os.listdir(tmp_path) == ["manifest.json"]


@pytest.mark.parametrize("name", ["notes.txt", "test_data_set_0/notes.txt"])
def test_bundle_with_a_file_of_the_users_is_not_replaced(publish_tiny, tiny_folder, name):
    (tiny_folder / name).write_text("do not lose this")
    with pytest.raises(BundleError, match=f"its file '{name}' is not part of the bundle"):
        publish_tiny(tiny_folder)
    assert (tiny_folder / name).read_text() == "do not lose this"


def test_file_at_the_destination_is_refused_and_kept(publish_tiny, tmp_path):
    (tmp_path / "tiny").write_text("a file")
    with pytest.raises(BundleError, match=r"cannot publish to '.*tiny': Not a directory"):
        publish_tiny(tmp_path / "tiny")
    assert (tmp_path / "tiny").read_text() == "a file"


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("/proc/nowhere/tiny", "No such file or directory"),
        ("file/tiny", "Not a directory|File exists"),
        ("file/below/tiny", "Not a directory"),
        ("x" * 256, "File name too long"),
        ("new/" + "x" * 256, "File name too long"),
        ("new/" * 1200, "File name too long"),
    ],
)
def test_unwritable_destination_is_one_line_and_leaves_nothing(
    publish_tiny, tmp_path, destination, reason
):
    (tmp_path / "file").write_text("in the way")
    for attempt in (publish_tiny, check_writable):
        with pytest.raises(BundleError, match=f"cannot publish to '.*': ({reason}); ") as caught:
            attempt(tmp_path / destination)
        assert "\n" not in str(caught.value)
        assert os.listdir(tmp_path) == ["file"]


def test_asking_whether_it_is_writable_leaves_nothing(tmp_path, tiny_folder):
    check_writable(tmp_path / "new" / "folders" / "tiny")
    check_writable(tiny_folder)
    assert os.listdir(tmp_path) == ["tiny"]


def test_path_that_leads_outside_is_refused_before_anything_is_written(publish_tiny, tmp_path):
    def add(files):
        files["../escaped.txt"] = b"x"

    with pytest.raises(BundleError, match="leads outside"):
        publish_tiny(tmp_path / "tiny", change_files=add)
    assert os.listdir(tmp_path) == []


def test_missing_source_is_named_and_the_old_bundle_stays(publish_tiny, tiny_folder, tmp_path):
    def add(files):
        files["engine.plan"] = tmp_path / "missing.plan"

    before = Bundle.load(tiny_folder)
    with pytest.raises(BundleError, match=r"cannot read '.*missing\.plan' to publish it"):
        publish_tiny(tiny_folder, seed=1, change_files=add)
    assert Bundle.load(tiny_folder) == before
    assert staged(tmp_path) == []


def test_refused_manifest_publishes_nothing(tmp_path):
    def refuse(listed):
        raise BundleError("no such manifest")

    with pytest.raises(BundleError, match="no such manifest"):
        publish(tmp_path / "new" / "tiny", {"a": b"a"}, refuse)
    assert os.listdir(tmp_path) == []


def test_file_size_limit_is_one_line_and_the_old_bundle_stays(publish_tiny, tiny_folder, tmp_path):
    before = Bundle.load(tiny_folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The nearest thing to a full disk that needs no privilege: a write fails half way.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(BundleError, match=r"cannot publish to '.*': File too large; "):
            publish_tiny(tiny_folder, seed=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Bundle.load(tiny_folder) == before
    assert staged(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # whoever else looks into it


def test_full_disk_is_one_line_and_the_old_bundle_stays(publish_tiny, small_disk):
    def add(files):
        files["large.bin"] = b"x" * 100_000

    before = publish_tiny(small_disk / "tiny")
    with pytest.raises(BundleError, match="No space left on device"):
        publish_tiny(small_disk / "tiny", change_files=add)
    assert Bundle.load(small_disk / "tiny") == before
    assert os.listdir(small_disk) == ["tiny"]


def test_killed_at_any_moment_the_old_bundle_or_the_new_one_stands(start_publisher, tmp_path):
    rng = random.Random(0)
    destination = tmp_path / "tiny"
    interrupted, seen = 0, set()
    for round_number in range(200):
        before = published(destination)
        child = start_publisher(destination, first=1000 * round_number)
        if round_number % 4 == 0:  # some bundles come through
            while published(destination) == before:
                assert child.poll() is None
        if round_number % 2:  # half of the kills come close to the moment that counts
            while not list(tmp_path.glob(".bundle-*/bundle/manifest.json")):
                assert child.poll() is None
        time.sleep(rng.uniform(0, 0.01))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        interrupted += bool(staged(tmp_path))
        if destination.exists():
            (content,) = contents(destination)  # all files carry the number of one publication
            seen.add(content)
        if round_number >= 30 and interrupted >= 5 and len(seen) >= 5:
            break
    else:
        pytest.fail(f"{interrupted} kills came in the middle, {len(seen)} bundles came through")


def test_what_a_killed_writer_left_is_swept_by_the_next(start_publisher, publish_tiny, tmp_path):
    left = tmp_path / ".bundle-0123456789abcdef.part"
    (left / "bundle").mkdir(parents=True)
    (left / "bundle" / "model.onnx").write_bytes(b"half a mod")
    (left / "lock").touch()
    publish_tiny(tmp_path / "tiny")
    assert staged(tmp_path) == []


def test_what_only_looks_like_a_left_over_is_kept(publish_tiny, tmp_path):
    (tmp_path / ".bundle-notes.part").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".bundle-0123456789abcdef.part").symlink_to(tmp_path / "elsewhere")
    publish_tiny(tmp_path / "tiny")
    assert len(staged(tmp_path)) == 2
    assert os.listdir(tmp_path / "elsewhere") == []


def test_two_writers_at_once_never_mix_and_never_disturb_each_other(start_publisher, tmp_path):
    destination = tmp_path / "tiny"
    children = [start_publisher(destination, first=0), start_publisher(destination, first=10**6)]
    seen = set()
    while len(seen) < 30:
        seen.add(published(destination))
        assert [child.poll() for child in children] == [None, None]  # neither stumbled
    for child in children:
        child.kill()
        child.wait()
    assert len(contents(destination)) == 1


def test_living_writer_keeps_its_staging_folder(start_publisher, publish_tiny, tmp_path):
    os.mkfifo(tmp_path / "slow")
    code = PUBLISHER.replace('b"%d," % number * 20_000', "Path(sys.argv[5])")
    template = publish_tiny(tmp_path / "first").folder / "manifest.json"
    command = [sys.executable, "-c", code, tmp_path / "second", "0", ROOT, template]
    child = subprocess.Popen([*command, tmp_path / "slow"])
    try:
        while not staged(tmp_path):
            assert child.poll() is None
            time.sleep(0.005)
        (living,) = staged(tmp_path)
        publish_tiny(tmp_path / "first", seed=1)
        assert living in staged(tmp_path)
    finally:
        child.kill()
        child.wait()
    publish_tiny(tmp_path / "first", seed=2)
    assert staged(tmp_path) == []


def test_failing_call_leaves_no_descriptor_open(publish_tiny, tmp_path):
    for _ in range(3):
        with pytest.raises(BundleError):
            publish_tiny(tmp_path / ("x" * 256))
    publish_tiny(tmp_path / "tiny")
    open_files = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    assert not [path for path in open_files if path.startswith(str(tmp_path))]
