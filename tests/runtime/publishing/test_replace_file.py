import os
from pathlib import Path

import pytest

from runtime.errors import BundleError, OptionError
from runtime.publishing.replace_file import check_replaceable, refuse_within_bundle, replace_file


def test_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "new" / "folder" / "results.json"
    for data in (b"longer than the next", b"next"):
        check_replaceable(path)
        replace_file(path, data)
        assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == ["results.json"]


def test_question_whether_a_file_can_be_written_leaves_nothing(tmp_path):
    check_replaceable(tmp_path / "new" / "results.json")
    assert not list(tmp_path.iterdir())


def test_results_may_lie_beside_a_bundle_but_not_in_it(tiny_folder):
    check_replaceable(tiny_folder.with_name("tiny.bench.json"))
    for inside in ("bench.json", "deeper/still/bench.json", ""):
        with pytest.raises(OptionError, match=r"would lie in the bundle '.*tiny'"):
            refuse_within_bundle(tiny_folder / inside)


def test_device_is_not_replaced_by_results(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(BundleError, match=r"is a device or pipe; name a file"):
            check_replaceable(path)


def test_place_where_nothing_can_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    for path, reason in {
        tmp_path: "it is a folder; name a file",
        tmp_path / "file" / "x": "file' is a file, not a folder",
        Path("/proc/x"): "cannot write '/proc/x': No such file or directory; mend that, or choose",
    }.items():
        with pytest.raises(BundleError, match=reason):
            check_replaceable(path)
