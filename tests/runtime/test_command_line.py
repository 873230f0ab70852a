"""A program imports the command that is named, and options may take several words."""

import re
import subprocess
import sys

import pytest
import typer

from runtime.arguments import NAMES
from runtime.cli import main
from runtime.command_line import NO_WORDS, Program, join_words, run, run_program, split_words
from runtime.errors import OptionError

LISTS = {"--rtx": re.compile(r"(?:sm\d+)?"), "--batch": re.compile(r"\d+")}


def test_words_behind_an_option_of_several_become_one():
    words = ["build", "--rtx", "sm86", "sm89", "folder", "--batch", "1", "8"]
    assert join_words(words, LISTS) == ["build", "--rtx", "sm86,sm89", "folder", "--batch", "1,8"]


def test_an_option_that_is_given_again_adds_to_its_words():
    words = ["--batch", "1", "8", "folder", "--batch=32", "--batch", "8"]
    joined = join_words(words, LISTS)
    assert joined == ["--batch", "1,8,32,8", "folder"]
    assert split_words(joined[1]) == ("1", "8", "32")


def test_an_option_that_stands_for_something_alone_may():
    assert join_words(["--rtx", "--batch", "1"], LISTS) == ["--rtx", NO_WORDS, "--batch", "1"]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["--batch"], "nothing"),
        (["--batch", "--rtx"], "nothing"),
        (["--batch", "x"], "'x'"),
        (["--batch=x"], "'x'"),
    ],
)
def test_other_options_of_several_words_need_one(words, given):
    with pytest.raises(OptionError, match=f"--batch: given {given}; expected one word or several"):
        join_words(words, LISTS)


def test_what_an_option_does_not_take_is_one_line(capsys):
    assert main(["bench", "folder", "--batch=x"]) == 2
    assert capsys.readouterr().err.startswith("error: --batch: given 'x'")


def test_a_folder_may_follow_names():
    for words in (["--variant", "fp32", "a/b", "./c"], ["--variant=fp32", "name=a/b", "../c"]):
        assert join_words(words, {"--variant": NAMES})[:2] == ["--variant", "fp32"]


def test_a_word_that_does_not_fit_ends_the_list():
    assert join_words(["--batch", "1", "x8"], LISTS) == ["--batch", "1", "x8"]


def test_other_options_are_left_alone():
    assert join_words(["--top", "5", "5"], LISTS) == ["--top", "5", "5"]


COMMAND = """
from dataclasses import dataclass
from typing import Annotated
import typer

@dataclass(frozen=True, kw_only=True)
class Bounds:
    low: Annotated[int, typer.Option(help="The least.")] = 0
    high: Annotated[int, typer.Option(min=1)]

def show(name: str, *, bounds: Bounds, twice: bool = False) -> None:
    print(name, bounds, twice)
"""


def test_the_fields_of_a_dataclass_are_options(tmp_path, monkeypatch, capsys):
    (tmp_path / "bounded").mkdir()
    (tmp_path / "bounded/show.py").write_text(COMMAND)
    monkeypatch.syspath_prepend(tmp_path)
    program = Program(name="bounded", help="", package="bounded", commands=("show",))
    assert run_program(program, ["show", "it", "--high", "8", "--twice"]) == 0
    assert capsys.readouterr().out == "it Bounds(low=0, high=8) True\n"
    assert run_program(program, ["show", "it", "--high", "0"]) == 2
    assert "0 is not in the range x>=1" in capsys.readouterr().err
    assert run_program(program, ["show", "--help"]) == 0
    assert "The least.  [default: 0]" in capsys.readouterr().out


def test_a_word_that_a_shell_left_empty_is_refused(capsys):
    for words, said in (
        (["verify", ""], "behind 'verify'"),
        (["classify", "b", "i", "--variant", ""], "behind '--variant'"),
        ([""], "word;"),
    ):
        assert main(words) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: given an empty word")
        assert said in captured.err


def test_only_the_named_command_is_imported():
    code = (
        "import sys; from runtime.cli import main; main(['verify', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith('runtime.commands.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "['runtime.commands.verify']"


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
