"""Follows a build through TensorRT's own progress monitor, and calls it off.

TensorRT reports phases within phases, each with a number of steps. One step of a phase is worth the
same share of it, and a phase fills one step of the phase it stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorrt

__all__ = ["BuildWatch", "Progress", "make_monitor"]

Progress = Callable[[float, str], None]
"""Called with the share of the work that is done, 0 to 1, and the name of the phase under way."""


class BuildWatch:
    """How far a build has come, and whether it is to go on.

    TensorRT's threads call it, in whatever order: nothing here raises, for no exception must travel
    through C++.
    """

    def __init__(self, progress: Progress) -> None:
        self.cancelled = False
        self.failure: BaseException | None = None
        """What `progress` raised; it ends the build."""
        self._progress = progress
        self._phases: dict[
            str, tuple[int, int]
        ] = {}  # steps done and steps in all, outermost first
        self._furthest = 0.0

    def start(self, phase: str, steps: int) -> None:
        """Take up a phase within the last one that has not ended."""
        self._phases[phase] = (0, max(steps, 1))

    def step(self, phase: str, index: int) -> bool:
        """Note that a phase has done its step of that index; return whether to go on."""
        if self.cancelled:
            return False
        if phase in self._phases:
            self._phases[phase] = (index + 1, self._phases[phase][1])
        try:
            self._progress(self._share(), phase)
        except BaseException as error:
            self.failure = error
            self.cancelled = True
        return not self.cancelled

    def finish(self, phase: str) -> None:
        """End a phase."""
        self._phases.pop(phase, None)

    def _share(self) -> float:
        share, width = 0.0, 1.0
        for done, steps in tuple(self._phases.values()):
            share += width * min(done, steps) / steps
            width /= steps
        # Several phases may fill one step, one after the other: never let the bar fall back.
        self._furthest = max(self._furthest, min(share, 1.0))
        return self._furthest


def make_monitor(trt: ModuleType, watch: BuildWatch) -> tensorrt.IProgressMonitor:
    """Return the progress monitor that reports to the watch and obeys it."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            watch.start(phase, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            return watch.step(phase, step)

        def phase_finish(self, phase: str) -> None:
            watch.finish(phase)

    monitor: tensorrt.IProgressMonitor = Monitor()
    return monitor
