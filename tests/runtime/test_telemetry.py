import os
import re
import subprocess
import sys

import pytest

CLASSIFY = "import sys; from runtime.cli import main; sys.exit(main(sys.argv[1:]))"
CI_SERVICES = "CI$|GITHUB_|GITLAB_|CIRCLECI|TRAVIS|TF_BUILD|JENKINS_|CODEBUILD_|BUILDKITE|TEAMCITY_"
"""Of which ONNX Runtime keeps no records on its own: it looks for their variables."""


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def written(home, bundle, image, **surroundings):
    """Return the names of the files that a classification leaves in the home folder of a person."""
    not_of_a_person = re.compile(f"ORT_DISABLE_TELEMETRY$|{CI_SERVICES}")
    kept = {name: text for name, text in os.environ.items() if not not_of_a_person.match(name)}
    folders = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    subprocess.run(
        [sys.executable, "-c", CLASSIFY, "classify", bundle, image],
        env={**kept, **folders, **surroundings},
        check=True,
        capture_output=True,
    )
    return {path.name for path in home.rglob("*") if path.is_file()}


def test_onnx_runtime_keeps_no_record_of_its_user(home, tiny_bundle, photographs):
    assert written(home, tiny_bundle.folder, photographs[0]) == set()


def test_who_lets_onnx_runtime_keep_records_is_left_alone(home, tiny_bundle, photographs):
    assert written(home, tiny_bundle.folder, photographs[0], ORT_DISABLE_TELEMETRY="0")
