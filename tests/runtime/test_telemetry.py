import subprocess
import sys

import pytest

CLASSIFY = "import sys; from runtime.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def written(home, bundle, image, **surroundings):
    """Return the names of the files that a classification leaves in the home folder of a person."""
    # And nothing else: it knows CI services by their variables, and keeps no records of them.
    folders = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    subprocess.run(
        [sys.executable, "-c", CLASSIFY, "classify", bundle, image],
        env={**folders, **surroundings},
        check=True,
        capture_output=True,
    )
    return {path.name for path in home.rglob("*") if path.is_file()}


def test_onnx_runtime_keeps_no_record_of_its_user(home, tiny_bundle, photographs):
    assert written(home, tiny_bundle.folder, photographs[0]) == set()


def test_who_lets_onnx_runtime_keep_records_is_left_alone(home, tiny_bundle, photographs):
    assert written(home, tiny_bundle.folder, photographs[0], ORT_DISABLE_TELEMETRY="0")
