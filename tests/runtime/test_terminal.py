import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from runtime.errors import BundleError
from runtime.terminal import Screen, printable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Kätzchen 猫 😀", "Kätzchen 猫 😀"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\x7f", r"a\nb\tc\x7f"),
        ("\udcff.jpg", r"\udcff.jpg"),
        ("right\u202eleft", r"right\u202eleft"),
    ],
)
def test_text_of_others_cannot_command_the_terminal(text, shown):
    assert printable(text) == shown


def test_results_go_to_stdout_and_the_rest_to_stderr(capsys):
    screen = Screen()
    with screen.step("trace") as step:
        step.detail = "opset 20"
    screen.note("a note")
    screen.warn("beware")
    screen.result("the result")
    screen.document({"left": "out"})
    out, err = capsys.readouterr()
    assert out == "the result\n"
    step_line, *others = err.splitlines()
    assert re.fullmatch(r"trace +\d+\.\d\d s  opset 20", step_line)
    assert others == ["a note", "warning: beware"]


def test_json_makes_stdout_one_document(capsys):
    screen = Screen(json=True)
    screen.result("left out")
    screen.document({"name": "猫", "shape": [1, 2]})
    assert json.loads(capsys.readouterr().out) == {"name": "猫", "shape": [1, 2]}


def test_json_never_holds_nan(capsys):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Screen(json=True).document({"x": float("nan")})
    assert capsys.readouterr().out == ""


def test_quiet_leaves_out_progress_but_not_warnings(capsys):
    screen = Screen(quiet=True)
    with screen.step("trace"):
        screen.note("a note")
    screen.warn("beware")
    screen.result("the result")
    assert capsys.readouterr() == ("the result\n", "warning: beware\n")


def test_failing_step_writes_no_line_of_success(capsys):
    with pytest.raises(BundleError), Screen().step("publish"):
        raise BundleError("no")
    assert capsys.readouterr().err == ""


# In a process of its own: what a stream is, is decided where it is opened.
WORK = """
import time
from runtime.terminal import Screen
screen = Screen()
with screen.step("check"), screen.progress("check", 30) as advance:
    for _ in range(30):
        time.sleep({seconds} / 30)
        advance()
screen.result("done")
"""
QUICK_WORK, SLOW_WORK = WORK.format(seconds=0), WORK.format(seconds=2.3)


def run_child(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **options)


def read_terminal(code, term, columns=80):
    """Return what a child writes to stderr when that is a terminal."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    child = run_child(
        code, stderr=inner, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": term}
    )
    os.close(inner)
    shown = b""
    try:
        while piece := os.read(outer, 4096):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(outer)
    assert child.wait() == 0
    return shown.decode()


def test_long_work_shows_a_bar_on_a_terminal_and_erases_it():
    shown = read_terminal(SLOW_WORK, "xterm")
    assert "check ..." in shown
    assert "check [####" in shown
    assert re.search(r"\d+/30, [\d.]+/s, \d+ s left", shown)
    assert shown.rsplit("\x1b[K", 1)[1] == ""  # the last thing is an erased line
    last_line = shown.replace("\r\n", "\n").split("\n")[-2].split("\x1b[K")[-1]
    assert last_line.split()[0] == "check"


def test_quick_work_shows_no_bar():
    shown = read_terminal(QUICK_WORK, "xterm")
    assert "check ..." in shown
    assert "[" not in shown.replace("\x1b[K", "")


def test_status_keeps_to_one_row_of_a_narrow_terminal():
    assert "check ..." in read_terminal(QUICK_WORK, "xterm", columns=10)
    shown = read_terminal(QUICK_WORK, "xterm", columns=9)
    assert "check .." in shown
    assert "check ..." not in shown


def test_terminal_without_control_codes_gets_none():
    assert "\x1b" not in read_terminal(QUICK_WORK, "dumb")


def test_pipe_gets_no_control_codes():
    child = run_child(QUICK_WORK, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    assert out == "done\n"
    assert err.splitlines()[0].startswith("check")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert "\r" not in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_whatever_the_encoding_lacks(encoding):
    code = """
from runtime.guard import guard
from runtime.terminal import Screen
guard(lambda: Screen(json=True).document({"image": "\\xfc\\U0001f600"}) or 0)
"""
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True)
    assert json.loads(shown.stdout) == {"image": "\xfc\U0001f600"}
