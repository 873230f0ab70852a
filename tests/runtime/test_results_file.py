import os
from pathlib import Path

import pytest

from runtime.errors import OptionError
from runtime.results_file import check_results_file, refuse_within_bundle


def test_results_may_lie_beside_a_bundle_but_not_in_it(tiny_folder):
    check_results_file(tiny_folder.with_name("tiny.bench.json"))
    for inside in ("bench.json", "deeper/still/bench.json", ""):
        with pytest.raises(OptionError, match=r"would lie in the bundle '.*tiny'"):
            refuse_within_bundle(tiny_folder / inside)


def test_device_is_not_replaced_by_results(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OptionError, match=r"is a device or pipe; expected a file"):
            check_results_file(path)


@pytest.mark.parametrize(
    ("output", "reason"), [("", "is a folder"), ("no/x", "there is no folder")]
)
def test_place_where_nothing_can_be_written_is_refused_at_once(tmp_path, output, reason):
    with pytest.raises(OptionError, match=reason):
        check_results_file(tmp_path / output)
