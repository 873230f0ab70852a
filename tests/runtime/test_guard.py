import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import BundleError, VerdictError
from runtime.guard import guard

ROOT = Path(__file__).parents[2]


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BundleError("no bundle"), 2, "error: no bundle"),
        (VerdictError("the answer is no"), 1, "error: the answer is no"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (OSError(28, "No space left on device", "a/b"), 2, "error: No space left on device: a/b"),
        (PermissionError(13, "Permission denied"), 2, "error: Permission denied"),
        (OSError("odd"), 2, "error: odd"),
        (ImportError("lib.so"), 2, "error: cannot import a package: lib.so; install it again"),
        (MemoryError(), 2, "error: out of memory; end other programs, or give it less at once"),
        (BundleError("two\nlines\x1b[2J"), 2, r"error: two\nlines\x1b[2J"),
    ],
)
def test_failure_is_one_line_and_a_status(capsys, error, status, line):
    assert guard(raising(error)) == status
    assert capsys.readouterr() == ("", line + "\n")


def test_current_folder_that_was_deleted_is_named(capsys, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert guard(lambda: len(os.getcwd())) == 2
    said = "error: the current folder was deleted; change to one that is there\n"
    assert capsys.readouterr() == ("", said)


def test_interruption_that_a_library_took_for_something_else_is_one(capsys):
    def work():
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("initialization failed") from error
        except ImportError:
            raise BundleError("the library is missing") from None

    assert guard(work) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_reader_that_left_is_not_talked_about(capsys):
    assert guard(raising(BrokenPipeError())) == 141
    assert capsys.readouterr() == ("", "")


def test_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        guard(raising(ZeroDivisionError()))


def test_status_of_the_work_is_returned():
    assert guard(lambda: 7) == 7


# In a process of its own: what a stream is, is decided where it is opened.
ENDLESS = """
import sys
from runtime.guard import guard
from runtime.terminal import Screen
def work():
    while True:
        Screen().result("line " * 1000)
sys.exit(guard(work))
"""
SHORT = """
import sys
from runtime.guard import guard
from runtime.terminal import Screen
def work():
    Screen().result("猫")
    return 0
sys.exit(guard(work))
"""


def run_child(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **options)


def test_reader_that_leaves_ends_the_program_quietly():
    child = run_child(ENDLESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize("code", [SHORT, ENDLESS])
def test_full_disk_under_stdout_is_one_line(code):
    with open("/dev/full", "w") as full:
        child = run_child(code, stdout=full, stderr=subprocess.PIPE)
        _, err = child.communicate()
    assert child.returncode == 2
    assert err == "error: No space left on device\n"


@pytest.mark.parametrize(("closed", "out", "err"), [(1, "", "note\n"), (2, "word\n", "")])
def test_closed_stream_takes_what_is_written_and_no_other_file_gets_its_number(
    tmp_path, closed, out, err
):
    code = f"""
import os, sys
from runtime.guard import guard
from runtime.terminal import Screen
def work():
    with open({str(tmp_path / "file")!r}, "w"):
        os.write({closed}, b"of a native library")
    Screen().note("note")
    Screen().result("word")
    return 0
sys.exit(guard(work))
"""
    child = run_child(
        code, preexec_fn=lambda: os.close(closed), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.communicate() == (out, err)
    assert child.returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_letter_the_encoding_lacks_is_escaped():
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    child = run_child(SHORT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    assert child.communicate() == ("\\u732b\n", "")
    assert child.returncode == 0
