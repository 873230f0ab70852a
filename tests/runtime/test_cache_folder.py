import os
import stat
import subprocess
import sys

import pytest

from runtime.cache_folder import cache_folder
from runtime.errors import BackendError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_made_for_its_user_alone(cache):
    folder = cache_folder("engines", "abc")
    assert folder == cache / "resnet-deploy" / "engines" / "abc"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache_folder("engines", "abc") == folder


def test_it_is_so_for_users_whose_files_their_group_may_write_to(cache):
    before = os.umask(0o002)  # Ubuntu's, and so a Jetson's
    try:
        folder = cache_folder("engines", "abc")
    finally:
        os.umask(before)
    for each in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


def test_a_folder_that_others_can_write_to_is_refused(cache):
    cache_folder("compiled").chmod(0o777)
    with pytest.raises(BackendError, match=r"others can write to '.*compiled'.*XDG_CACHE_HOME"):
        cache_folder("compiled")


def test_so_is_one_below_such_a_folder(cache):
    cache_folder("engines", "abc")
    (cache / "resnet-deploy").chmod(0o775)
    with pytest.raises(BackendError, match=r"others can write to '.*resnet-deploy'"):
        cache_folder("engines", "abc")


def test_a_cache_that_cannot_be_made_says_what_to_set(cache):
    (cache / "resnet-deploy").write_text("in the way")
    with pytest.raises(BackendError, match="set XDG_CACHE_HOME to a folder of your own"):
        cache_folder("engines")


def test_a_relative_path_is_ignored_as_the_specification_wants(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("engines").is_relative_to(tmp_path / ".cache")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="becoming nobody needs root")
def test_a_user_without_a_home_is_told_what_to_set():
    code = "import os; from runtime.cache_folder import cache_folder\n"
    code += "os.setuid(54321)\ntry: cache_folder('x')\nexcept Exception as e: print(repr(e))"
    run = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True)
    assert run.stdout.startswith("BackendError('there is no home folder to keep compiled code in;")
