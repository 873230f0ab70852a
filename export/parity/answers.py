"""Answers: PyTorch's own answers to the parity grid, computed while something else happens.

Tracing is one thread of Python and the reference is arithmetic, so on two cores the one need not
wait for the other. Not a thread: tracing patches torch.nn.Module for the whole process. A forked
child needs no second import of torch and no copy of the weights; it computes in one thread, because
OpenMP's threads do not survive a fork. Where there is no fork, the answers are computed when they
are asked for.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeAlias

import torch

from export.classifier import Classifier
from export.parity.truths import Case, Truth, answer
from export.reference import TorchRunner
from runtime.errors import DeployError, TraceError
from runtime.runner import Logits

__all__ = ["Answers"]

_Message: TypeAlias = "list[tuple[Logits, float]] | DeployError | None"
"""The answers, or why there are none; None when one more case is done."""


class Answers:
    """The answers to some cases, under way from the moment the context is entered.

    The reference is the classifier's module in float64; the noise is float32's against it.
    """

    def __init__(self, classifier: Classifier, cases: Sequence[Case]) -> None:
        self._classifier = classifier
        self._cases = cases

    def __enter__(self) -> Answers:
        if sys.platform != "linux":  # forking is unsafe elsewhere, or unknown
            return self
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self._child = context.Process(target=self._send, args=(sender,), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside other threads; the child touches none of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child.start()
        sender.close()
        return self

    def __exit__(self, *error: object) -> None:
        if sys.platform == "linux":
            self._child.kill()
            self._child.join()
            self._receiver.close()

    def wait(self, advance: Callable[[], None]) -> tuple[Truth, ...]:
        """Return the answers, when they are there.

        Args:
            advance: called after each case, for whoever shows progress.

        Raises:
            TraceError: if the module cannot run on a case, or memory ran out.
        """
        if sys.platform != "linux":
            return self._compute(advance)
        try:
            message: _Message = self._receiver.recv()
            while message is None:
                advance()
                message = self._receiver.recv()
        except EOFError:
            raise TraceError(
                "PyTorch's reference ended without an answer, probably out of memory; "
                "close other programs, or give a smaller --parity-budget"
            ) from None
        if isinstance(message, DeployError):
            raise message
        return tuple(
            Truth(case=case, logits=logits, noise=noise)
            for case, (logits, noise) in zip(self._cases, message, strict=True)
        )

    def _send(self, sender: Connection) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
        torch.set_num_threads(1)
        message: _Message
        try:
            truths = self._compute(lambda: sender.send(None))
            message = [(truth.logits, truth.noise) for truth in truths]
        except DeployError as error:
            message = error
        except BrokenPipeError:
            return  # the parent was killed; nobody is left to tell
        with contextlib.suppress(BrokenPipeError):
            sender.send(message)

    def _compute(self, advance: Callable[[], None]) -> tuple[Truth, ...]:
        reference = TorchRunner(self._classifier.module, torch.float64)
        baseline = TorchRunner(self._classifier.module, torch.float32)
        return answer(_counted(self._cases, advance), reference, baseline)


def _counted(cases: Sequence[Case], advance: Callable[[], None]) -> Iterator[Case]:
    for case in cases:
        yield case
        advance()
