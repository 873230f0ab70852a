"""Help that a person can use: whole sentences at 80 columns, of every command."""

import inspect
from importlib import import_module

import pytest

import calibration.cli
import export.cli
import runtime.cli
from runtime.command_line import Program, run_program

PROGRAMS = (export.cli.PROGRAM, calibration.cli.PROGRAM, runtime.cli.PROGRAM)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.package)
def test_no_command_s_summary_is_cut_off_at_80_columns(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_program(program, ["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(program.commands)
    for line, name in zip(listed, program.commands, strict=True):
        summary = inspect.getdoc(getattr(import_module(f"{program.package}.{name}"), name))
        assert summary is not None
        assert line.split(maxsplit=1)[1] == summary.splitlines()[0]


@pytest.mark.parametrize(
    ("program", "command"),
    [(program, command) for program in PROGRAMS for command in program.commands],
    ids=lambda value: value if isinstance(value, str) else value.package,
)
def test_every_argument_and_option_says_what_it_is(
    program: Program,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_program(program, [command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [at for at, line in enumerate(lines) if line.startswith("  --")]
    for at in starts:
        words = lines[at].split("  ")
        told = [word for word in words[2:] if word.strip()]
        assert told or lines[at + 1].startswith("        "), lines[at]
