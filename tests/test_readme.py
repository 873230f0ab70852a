"""The README is true: its commands run, in order, and its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

COMMANDS = re.findall(r"^\$ (python -m .+)$", README, flags=re.MULTILINE)
"""Those that run anywhere within seconds; longer ones stand in the README without the prompt."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that looks to the commands like a checkout, and takes what they write."""
    folder = tmp_path_factory.mktemp("checkout")
    for data in ("export/samples", "export/models/weights"):
        (folder / data).parent.mkdir(parents=True, exist_ok=True)
        (folder / data).symlink_to(ROOT / data)
    return folder


def test_there_are_commands_to_test():
    assert len(COMMANDS) >= 4


def test_the_commands_run_in_the_order_they_are_shown(folder):
    for command in COMMANDS:
        words = [sys.executable, *shlex.split(command)[1:]]
        run = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, f"{command}\n{run.stderr}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_what_the_readme_links_to_exists(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_targets_of_the_makefile(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
