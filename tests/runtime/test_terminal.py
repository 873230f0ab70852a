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
import typer

from runtime.errors import BundleError, VerdictError
from runtime.terminal import Screen, guard, printable, run

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
        (MemoryError(), 2, "error: out of memory; end other programs, or give it less at once"),
        (BundleError("two\nlines\x1b[2J"), 2, r"error: two\nlines\x1b[2J"),
    ],
)
def test_failure_is_one_line_and_a_status(capsys, error, status, line):
    assert guard(raising(error)) == status
    assert capsys.readouterr() == ("", line + "\n")


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


@pytest.fixture
def app():
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command()
    def greet(name: str, times: int = 1) -> None:
        sys.stdout.write(f"hello {name}\n" * times)

    @app.command()
    def stop(status: int) -> int:
        if status == 130:
            raise KeyboardInterrupt
        return status

    return app


def test_command_runs(app, capsys):
    assert run(app, "prog", ["greet", "Ada", "--times", "2"]) == 0
    assert capsys.readouterr() == ("hello Ada\nhello Ada\n", "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "error: Missing command. See: prog --help"),
        (["great"], r"error: No such command 'great'\. Did you mean 'greet'\? See: prog --help"),
        (["greet"], "error: Missing argument '(?i:name)'. See: prog greet --help"),
        (["greet", "a", "--time", "1"], "error: No such option: --time .* See: prog greet --help"),
        (["greet", "a", "--times", "x"], "error: Invalid value for '--times': .* See: prog greet"),
    ],
)
def test_wrong_usage_is_one_line(app, capsys, argv, message):
    assert run(app, "prog", argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert re.match(message, err)


def test_status_a_command_returns_is_the_programs(app):
    assert run(app, "prog", ["stop", "3"]) == 3


def test_interruption_within_a_command_is_one_line(app, capsys):
    assert run(app, "prog", ["stop", "130"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_help_goes_to_stdout_in_plain_text_of_80_columns(app, capsys):
    assert run(app, "prog", ["greet", "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: prog greet")
    assert err == ""
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80


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
    assert step_line.split()[0] == "trace"
    assert step_line.endswith("0.00 s  opset 20")
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
QUICK_WORK, SLOW_WORK = WORK.format(seconds=0.1), WORK.format(seconds=2.3)


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
    assert re.search(r"\d+/30, [\d.]+/s, \d s left", shown)
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


ENDLESS = """
import sys
from runtime.terminal import Screen, guard
def work():
    while True:
        Screen().result("line " * 1000)
sys.exit(guard(work))
"""
SHORT = """
import sys
from runtime.terminal import Screen, guard
def work():
    Screen().result("猫")
    return 0
sys.exit(guard(work))
"""


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
from runtime.terminal import Screen, guard
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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_whatever_the_encoding_lacks(encoding):
    code = """
from runtime.terminal import Screen, guard
guard(lambda: Screen(json=True).document({"image": "\\xfc\\U0001f600"}) or 0)
"""
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True)
    assert json.loads(shown.stdout) == {"image": "\xfc\U0001f600"}
