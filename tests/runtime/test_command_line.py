"""A program imports the command that is named, and options may take several words."""

import re
import subprocess
import sys

from runtime.command_line import NO_WORDS, join_words

LISTS = {"--rtx": re.compile(r"sm\d+"), "--batch": re.compile(r"\d+")}


def test_words_behind_an_option_of_several_become_one():
    words = ["build", "--rtx", "sm86", "sm89", "folder", "--batch", "1", "8"]
    assert join_words(words, LISTS) == ["build", "--rtx", "sm86,sm89", "folder", "--batch", "1,8"]


def test_an_option_of_several_words_that_has_none_stands_for_its_default():
    assert join_words(["--rtx", "--batch", "1"], LISTS) == ["--rtx", NO_WORDS, "--batch", "1"]


def test_a_word_that_does_not_fit_ends_the_list():
    assert join_words(["--batch", "1", "x8"], LISTS) == ["--batch", "1", "x8"]


def test_other_options_are_left_alone():
    assert join_words(["--top", "5", "5"], LISTS) == ["--top", "5", "5"]


def test_only_the_named_command_is_imported():
    code = (
        "import sys; from runtime.cli import main; main(['verify', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith('runtime.commands.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "['runtime.commands.verify']"
