"""The state of a training: all that a step changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from export.models.resnet import ResNet

__all__ = ["EpochRecord", "State"]


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What came of one epoch."""

    epoch: int
    """The first is 1."""
    loss: float
    """Mean over the steps; label smoothing and class weights included."""
    accuracy: float
    """Percentage of the training images, augmented, as they were learnt."""
    val_loss: float
    """Mean cross-entropy."""
    val_accuracy: float
    """Percentage."""

    @property
    def merit(self) -> tuple[float, float]:
        """The larger, the better: more images named rightly, or as many and surer."""
        return self.val_accuracy, -self.val_loss


@dataclass(kw_only=True, eq=False)
class State:
    """All that a training step changes.

    There is no generator among it: what is random is a function of seed and step.
    """

    module: ResNet
    optimizer: Optimizer
    schedule: LRScheduler
    step: int = 0
    """Steps that are done."""
    loss: float = 0.0
    """Sum over the steps of the epoch under way."""
    right: int = 0
    """Images that were named rightly in the epoch under way."""
    history: list[EpochRecord] = field(default_factory=list)

    @property
    def best(self) -> EpochRecord:
        """The best epoch so far, the first of equals; there is one after the first epoch."""
        return max(self.history, key=lambda record: record.merit)

    def to_document(self) -> dict[str, Any]:
        """Return it in types that torch saves and its restricted unpickler reads."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "loss": self.loss,
            "right": self.right,
            "history": [asdict(record) for record in self.history],
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Become what a document of a state of the same module tells."""
        history = [EpochRecord(**record) for record in document["history"]]
        self.module.load_state_dict(document["module"])
        self.optimizer.load_state_dict(document["optimizer"])
        self.schedule.load_state_dict(document["schedule"])
        self.step, self.loss = int(document["step"]), float(document["loss"])
        self.right, self.history = int(document["right"]), history
