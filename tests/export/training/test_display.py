"""What a person at a terminal sees, in a pseudo-terminal."""

import os
import pty
import re
import subprocess
import sys

CODE = """
import sys, time
from types import SimpleNamespace
from export.training.display import Display
from runtime.terminal import Screen

batches = SimpleNamespace(epochs=2, per_epoch=4, steps=8, batch=10)
record = SimpleNamespace(epoch=1, loss=0.5, accuracy=70, val_loss=0.6, val_accuracy=65)
state = SimpleNamespace(step=0, right=0, loss=0.0, history=[], best=record)
with Display(Screen(quiet="quiet" in sys.argv), batches, 0) as display:
    for _ in range(4):
        state.step += 1; state.right += 5; state.loss += 0.25
        display.stepped(state)
        time.sleep(0.15)
    state.history.append(record)
    display.ended(state)
"""


def watch(*arguments: str) -> str:
    """Return what appears on the terminal."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", CODE, *arguments]
    # Nothing else: Rich asks COLUMNS, TTY_INTERACTIVE and others before it asks the terminal.
    with subprocess.Popen(command, stderr=slave, env={"TERM": "xterm"}) as child:
        os.close(slave)
        seen = b""
        try:
            while piece := os.read(master, 4096):
                seen += piece
        except OSError:  # Linux reports the other end's closing as an error
            pass
        assert child.wait() == 0
    os.close(master)
    return seen.decode()


def test_a_terminal_shows_epoch_loss_accuracy_and_time_left():
    seen = watch()
    assert "epoch 1/2" in seen
    assert "loss 0.2500, 50.0 %" in seen
    assert re.search(r"\d:\d\d:\d\d", seen)
    assert "val  65.0 %" in seen


def test_quiet_is_quiet_on_a_terminal():
    assert watch("quiet") == ""
