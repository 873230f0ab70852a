"""Score: how many images of each class were named rightly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.training.batches import Batch
from runtime.evaluation.statistics import wilson

__all__ = ["Score", "score"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model made of images whose classes are known."""

    right: tuple[int, ...]
    """Images of each class that were named rightly."""
    images: tuple[int, ...]
    """Images of each class."""
    loss: float
    """Mean cross-entropy, in nats."""

    @property
    def accuracy(self) -> float:
        """Percentage of all images that were named rightly."""
        return 100 * sum(self.right) / sum(self.images)

    @property
    def mean_recall(self) -> float:
        """Mean over the classes of the percentage named rightly: what frequent classes hide."""
        shares = [100 * r / n for r, n in zip(self.right, self.images, strict=True) if n]
        return sum(shares) / len(shares)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, in percent."""
        share = wilson(sum(self.right), sum(self.images))
        return 100 * share.low, 100 * share.high


def score(module: nn.Module, batches: Iterable[Batch], classes: int) -> Score:
    """Return what the module, in eval mode and float32, makes of the batches; at least one image.

    The module is in eval mode afterwards.
    """
    module.eval()
    right, total, loss = torch.zeros(classes), torch.zeros(classes), 0.0
    with torch.inference_mode():
        for images, labels in batches:
            logits: Tensor = module(images.contiguous(memory_format=torch.channels_last))
            total += labels.bincount(minlength=classes)
            right += labels[logits.argmax(dim=1) == labels].bincount(minlength=classes)
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
    return Score(
        right=tuple(int(count) for count in right),
        images=tuple(int(count) for count in total),
        loss=loss / float(total.sum()),
    )
