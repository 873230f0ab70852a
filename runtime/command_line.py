"""Runs the command that a command line names, and imports no other: a start costs what it uses.

A command is a module of its program's `commands` package with one function of the module's name.
Its `WORD_LISTS`, if it has any, says which options take several words, and what each must look
like: `--batch 1 8 32` then arrives as "1,8,32", because an option's value is one word to Typer.
A parameter of the function that is a dataclass stands for options that go together: each of its
fields is one, declared as Typer declares a parameter.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import typer

from runtime.errors import OptionError
from runtime.guard import INTERRUPTED, guard

__all__ = ["NO_WORDS", "Program", "join_words", "run", "run_program", "split_words"]

NO_WORDS = "-"
"""Stands for an option of several words that is given alone."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command line of several commands."""

    name: str
    """How it is called: "python -m runtime"."""
    help: str
    """What it is for, in a line."""
    package: str
    """Where the modules of its commands are."""
    commands: tuple[str, ...]
    default: str = ""
    """The command a first word that names none is meant for; empty if there is none."""


def run_program(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run a program's command line and return its exit status."""
    return guard(lambda: _run(program, list(sys.argv[1:] if argv is None else argv)))


def _run(program: Program, words: list[str]) -> int:
    _refuse_empty(words)
    if program.default and words[:1] not in [["--help"], *([name] for name in program.commands)]:
        words.insert(0, program.default)
    named = words[:1] if words and words[0] in program.commands else program.commands
    modules = {name: import_module(f"{program.package}.{name}") for name in named}
    app = _make_app(program, modules)
    for module in modules.values() if len(modules) == 1 else ():
        words = join_words(words, getattr(module, "WORD_LISTS", {}))
    return run(app, program.name, words)


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse what a shell makes of a variable that is not set: a path to where one stands."""
    for before, word in zip(("", *words), words, strict=False):
        if not word:
            behind = f" behind '{before}'" if before else ""
            raise OptionError(f"given an empty word{behind}; is a variable of the shell not set?")


def run(app: typer.Typer, program: str, argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        app: made with rich_markup_mode=None and pretty_exceptions_enable=False; its commands
            return None or an exit status.
        program: how it was called, for usage lines: "python -m runtime".
        argv: the arguments; by default those of the process.
    """
    return guard(lambda: _call(app, program, sys.argv[1:] if argv is None else argv))


def _call(app: typer.Typer, program: str, argv: Sequence[str]) -> int:
    try:
        status = app(list(argv), prog_name=program, standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else program
        message = " ".join(error.format_message().split())
        stop = "" if message.endswith((".", "?")) else "."
        raise OptionError(f"{message}{stop} See: {command} --help") from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # what Typer makes of it
            raise exit_.__context__ from None
        raise
    if status == INTERRUPTED:  # Typer turns the exception into the status
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def _make_app(program: Program, modules: Mapping[str, ModuleType]) -> typer.Typer:
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=program.help,
    )
    app.callback()(_keep_commands_apart)
    for name, module in modules.items():
        app.command(name)(_spread(getattr(module, name)))
    return app


def _spread(command: Callable[..., object]) -> Callable[..., object]:
    """Return the command with the fields of its dataclasses as parameters of its own."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for each in signature.parameters.values():
        spread = [each]
        group = each.annotation
        if isinstance(group, type) and dataclasses.is_dataclass(group):
            spread = list(inspect.signature(group, eval_str=True).parameters.values())
            groups[each.name] = (group, [field.name for field in spread])
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in spread]

    @functools.wraps(command)
    def call(**words: object) -> object:
        for name, (group, fields) in groups.items():
            words[name] = group(**{field: words.pop(field) for field in fields})
        return command(**words)

    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _keep_commands_apart() -> None:
    # Typer makes an app of one command the command itself, and would take its name for an argument.
    pass


def join_words(words: Sequence[str], lists: Mapping[str, re.Pattern[str]]) -> list[str]:
    """Return a command line in which what follows an option of several words is one word.

    An option that is given again adds to what was given before.

    Args:
        words: the command line.
        lists: what each word must look like, by option; the first that does not ends the list. What
            fits no word at all, too, lets the option stand alone.

    Raises:
        OptionError: if an option that cannot stand alone does.
    """
    words = list(_split_assignments(words, lists))
    found: dict[str, list[str]] = {}
    joined: list[str | list[str]] = []
    at = 0
    while at < len(words):
        option, at = words[at], at + 1
        if option not in lists:
            joined.append(option)
            continue
        given = list(itertools.takewhile(lists[option].fullmatch, words[at:]))
        at += len(given)
        if not given and not lists[option].fullmatch(""):
            raise _refusal(option, words[at : at + 1])
        if option not in found:
            joined += [option, found.setdefault(option, [])]
        found[option] += given
    return [each if isinstance(each, str) else ",".join(each) or NO_WORDS for each in joined]


def _split_assignments(words: Sequence[str], lists: Mapping[str, re.Pattern[str]]) -> Iterator[str]:
    for word in words:
        option, equals, value = word.partition("=")
        yield from (option, value) if equals and option in lists else (word,)


def _refusal(option: str, behind: Sequence[str]) -> OptionError:
    given = f"'{behind[0]}'" if behind and not behind[0].startswith("-") else "nothing"
    return OptionError(f"{option}: given {given}; expected one word or several, as --help tells")


def split_words(joined: str) -> tuple[str, ...]:
    """Return the words that `join_words` made one of, each once; none if it was not given."""
    return () if joined in ("", NO_WORDS) else tuple(dict.fromkeys(joined.split(",")))
