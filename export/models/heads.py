"""Heads: what of a network is given back.

    logits      one row of class scores an image; the network as it is
    features    what the last layer sees, the pooled maps of the last stage: [batch, 512 or 2048]
    stages      the maps of every stage, for a detector or a segmenter to build on: "stage1" is
                [batch, 64 or 256, height / 4, width / 4] behind the stem for photographs, each
                stage after it half as high and wide, rounded up

Layers keep their names, so weights are compared with their origin whatever the head.
"""

from __future__ import annotations

from torch import Tensor, nn

from export.models.resnet import ResNet
from runtime.errors import OptionError

__all__ = ["Stages", "attach_head"]


class Stages(nn.Module):
    """The stages of a ResNet without its head."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        self.stages = network.stages
        for name, child in network.named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, child)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of each stage: float [batch, channels, height, width]."""
        maps = images
        stages = []
        for name, child in self.named_children():
            maps = child(maps)
            if name in self.stages:
                stages.append(maps)
        return tuple(stages)


def attach_head(module: nn.Module, head: str, name: str) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the network with the head, and the names of its outputs.

    Args:
        module: the network; it may be changed.
        head: one of export.load_options.HEADS.
        name: what to call it in a message.

    Raises:
        OptionError: if the network is no ResNet of this project, of which nothing but the logits
            is known.
    """
    if head == "logits":
        return module, ("logits",)
    if not isinstance(module, ResNet):
        raise OptionError(
            f"--head {head}: given {name}, of which only the logits are known; expected a name of "
            "--list, or auto"
        )
    if head == "features":
        module.add_module("fc", nn.Identity())
        return module, ("features",)
    stages = Stages(module).eval()
    return stages, tuple(f"stage{number + 1}" for number in range(len(stages.stages)))
