"""The CIFAR nets of He et al. 2015 in plain PyTorch."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def conv3x3(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias, weights from N(0, 2 / (9 before))."""
    layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class Block(nn.Module):
    """Two 3x3 convolutions; h = x + f, or h = f. Where shapes change x comes by option A."""

    def __init__(self, before: int, after: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv3x3(before, after, stride), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = conv3x3(after, after), nn.BatchNorm2d(after)
        self.stride, self.more, self.residual = stride, after - before, residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The unit's output."""
        f = F.relu(self.norm1(self.conv1(x)))
        f = self.norm2(self.conv2(f))
        if not self.residual:
            return F.relu(f)
        if self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(f + x)


class ResNet(nn.Module):
    """3x3 stem, three stages of (depth - 2) / 6 blocks at 16, 32, 64 channels, mean over pixels, a classifier."""

    def __init__(self, depth: int, residual: bool, classes: int) -> None:
        super().__init__()
        self.conv, self.norm = conv3x3(3, 16), nn.BatchNorm2d(16)
        blocks, before = [], 16
        for stage in range(3):
            for number in range((depth - 2) // 6):
                after, stride = 16 * 2**stage, 2 if stage > 0 and number == 0 else 1
                blocks.append(Block(before, after, stride, residual))
                before = after
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(before, classes)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes)."""
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.head(x.mean((2, 3)))
