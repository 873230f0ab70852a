"""ResNet: one definition for every family, described by an Architecture.

    images -> [adapter] conv1 bn1 relu [maxpool] -> layer1 .. layerN -> average -> fc -> logits

State-dict keys, default initialisation and outputs are torchvision's, to the bit. A family differs
in data only: how deep and wide the stages are, which block they repeat, the stem before them, and
what stands on a shortcut that changes shape.

Sources: He et al., "Deep Residual Learning", 2015; the 3x3 convolution of a bottleneck carries the
stride, as in torchvision; grouped and wide bottlenecks follow Xie et al., 2016, and Zagoruyko and
Komodakis, 2016.
"""

from __future__ import annotations

from torch import Tensor, nn

from export.models.architecture import Architecture
from export.models.shortcut import NormLayer, ZeroPad, projection

__all__ = ["BasicBlock", "Bottleneck", "ResNet"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        architecture: Architecture,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, kernel=3, stride=stride)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, kernel=3)
        self.bn2 = norm_layer(width)
        self.downsample = _shortcut(inputs, width, stride, architecture, norm_layer)

    def forward(self, maps: Tensor) -> Tensor:
        """Return float [batch, width, ceil(height / stride), ceil(width / stride)]."""
        out = self.relu(self.bn1(self.conv1(maps)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(maps)
        joined: Tensor = self.relu(out)
        return joined


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; four times as wide outside as inside."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        architecture: Architecture,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        inner = int(width * architecture.width_per_group / 64) * architecture.groups
        outputs = width * architecture.expansion
        self.conv1 = _conv(inputs, inner, kernel=1)
        self.bn1 = norm_layer(inner)
        self.conv2 = _conv(inner, inner, kernel=3, stride=stride, groups=architecture.groups)
        self.bn2 = norm_layer(inner)
        self.conv3 = _conv(inner, outputs, kernel=1)
        self.bn3 = norm_layer(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride, architecture, norm_layer)

    def forward(self, maps: Tensor) -> Tensor:
        """Return float [batch, 4 * width, ceil(height / stride), ceil(width / stride)]."""
        out = self.relu(self.bn1(self.conv1(maps)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += self.downsample(maps)
        joined: Tensor = self.relu(out)
        return joined


class ResNet(nn.Module):
    """A classifier of images of any size: float [batch, channels, height, width] -> logits.

    Args:
        architecture: what the family and the member of it are.
        num_classes: logits per image.
        in_channels: channels that the stem takes.
        norm_layer: makes the normalisation of a given number of channels.
        adapter: what turns the channels of the images into those of the stem; by default they
            are the same.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        norm_layer: NormLayer = nn.BatchNorm2d,
        adapter: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.adapter = adapter or nn.Identity()
        stem, width = architecture.stem, architecture.widths[0]
        self.conv1 = _conv(in_channels, width, kernel=stem.kernel, stride=stem.stride)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.pool else nn.Identity()
        self.stages = tuple(f"layer{number + 1}" for number in range(len(architecture.depths)))
        inputs = width
        for index, name in enumerate(self.stages):
            self.add_module(name, _stage(inputs, index, architecture, norm_layer))
            inputs = architecture.widths[index] * architecture.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)
        # On the meta device there is nothing to draw, and drawing loads torch's compiler (0.9 s).
        if not self.conv1.weight.is_meta:
            self.reset_parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float [batch, num_classes]."""
        logits: Tensor = self.fc(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Return what the head sees, the average of the last map: float [batch, features]."""
        pooled: Tensor = self.avgpool(self.maps(images)[-1])
        return pooled.flatten(1)

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what each stage makes: float [batch, channels, height, width], halving in size."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(self.adapter(images)))))
        stages = []
        for name in self.stages:
            maps = self.get_submodule(name)(maps)
            stages.append(maps)
        return tuple(stages)

    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's global generator and reset all statistics.

        Convolutions: Kaiming normal, fan out, ReLU (He et al., 2015); the rest as torch starts it.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif module is not self and callable(reset := getattr(module, "reset_parameters", 0)):
                reset()


def _stage(
    inputs: int, index: int, architecture: Architecture, norm_layer: NormLayer
) -> nn.Sequential:
    width = architecture.widths[index]
    stride = 1 if index == 0 else 2
    block = {"basic": BasicBlock, "bottleneck": Bottleneck}[architecture.block]
    blocks = []
    for _ in range(architecture.depths[index]):
        blocks.append(block(inputs, width, stride, architecture, norm_layer))
        inputs, stride = width * architecture.expansion, 1
    return nn.Sequential(*blocks)


def _shortcut(
    inputs: int, outputs: int, stride: int, architecture: Architecture, norm_layer: NormLayer
) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    make = {"projection": projection, "zero-pad": ZeroPad}[architecture.shortcut]
    return make(inputs, outputs, stride, norm_layer)


def _conv(inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
