"""PyTorch as a worker: eager, channels_last.  python -m benchmarks.torch_eager [--device gpu]

A job may ask for torch.compile, or for bfloat16 by autocast.
"""

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from benchmarks import data
from benchmarks.protocol import Job, Reply, serve
from benchmarks.sizes import SIZES
from benchmarks.torch_network import ResNet

PAD = 4


def crop_flip(images: torch.Tensor) -> torch.Tensor:
    """Pad 4, a random window of the old size, mirrored with probability 1/2; (batch, height, width, channel)."""
    batch, side, device = len(images), images.shape[1], images.device
    padded = F.pad(images, (0, 0, PAD, PAD, PAD, PAD))
    top, left = torch.randint(0, 2 * PAD + 1, (2, batch, 1), device=device)
    along = torch.arange(side, device=device)
    columns = torch.where(torch.rand(batch, 1, device=device) < 0.5, along, side - 1 - along)
    which = torch.arange(batch, device=device)[:, None, None]
    return padded[which, (top + along)[:, :, None], (left + columns)[:, None, :]]


class TorchEager:
    """The contestant."""

    def __init__(self, device: str) -> None:
        self.device = torch.device("cuda" if device == "gpu" else "cpu")
        if device == "gpu" and not torch.cuda.is_available():
            raise SystemExit("this PyTorch finds no GPU")

    def about(self) -> Reply:
        """See `Contestant`."""
        kind = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
        on = "gpu" if self.device.type == "cuda" else "cpu"
        return {"versions": versions, "platform": on, "device": kind, "devices": 1}

    def prepare(self, job: Job) -> Reply:
        """See `Contestant`. The first step is part of it: there torch.compile compiles, and cuDNN starts."""
        self.job, arrays = job, data.arrays(job.examples)
        self.mean, self.deviation = data.moments(arrays[0])
        self.images, labels = (torch.from_numpy(array).to(self.device) for array in arrays)
        self.labels = labels.long()
        start = time.perf_counter()
        torch.manual_seed(0)
        network = ResNet(job.depth, job.shortcut == "identity", data.CLASSES)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.forward = torch.compile(self.network) if job.compile else self.network
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        self.order = torch.empty(0, dtype=torch.long, device=self.device)
        self.steps(1)
        seconds = time.perf_counter() - start
        return {"compile_s": seconds, "parameters": sum(p.numel() for p in self.network.parameters())}

    def steps(self, count: int) -> Reply:
        """See `Contestant`."""
        loss, start = torch.zeros(()), time.perf_counter()
        for _ in range(count):
            loss = self.train_step(*self.next_batch())
        value = float(loss)
        return {"seconds": time.perf_counter() - start, "steps": count, "loss": value}

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One update; the loss."""
        mixed = self.job.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            loss = F.cross_entropy(self.forward(images), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next of the permutation, or of a new one, standardised; images (batch, channel, height, width)."""
        if len(self.order) < self.job.batch:
            self.order = torch.randperm(len(self.labels), device=self.device)
        places, self.order = self.order[: self.job.batch], self.order[self.job.batch :]
        images = (self.images[places].float() - self.mean) / self.deviation
        images = crop_flip(images) if self.job.augment else images
        return images.permute(0, 3, 1, 2), self.labels[places]  # so permuted, they are channels_last

    def peaks(self, repeats: int) -> Reply:
        """See `Contestant`."""
        gpu = self.device.type == "cuda"
        if gpu:
            torch.set_float32_matmul_precision("high")  # TF32, as in JAX
        size = SIZES["gpu" if gpu else "cpu"]
        a = torch.randn(size.matrix, size.matrix, device=self.device)
        out = torch.empty_like(a)
        flops = [2 * size.matrix**3 / seconds for seconds in self.timed(lambda: torch.mm(a, a, out=out), repeats)]
        x, y = torch.zeros(size.vector, device=self.device), torch.ones(size.vector, device=self.device)
        triad = self.timed(lambda: torch.add(y, x, alpha=0.5, out=x), repeats)
        return {"flops_per_s": flops, "bytes_per_s": [12 * size.vector / seconds for seconds in triad]}

    def timed(self, call: Callable[[], torch.Tensor], repeats: int) -> list[float]:
        """Seconds of each call but the first two."""
        found = []
        for _ in range(repeats + 2):
            start = time.perf_counter()
            call()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            found.append(time.perf_counter() - start)
        return found[2:]

    def memory(self) -> int | None:
        """See `Contestant`. On a GPU the peak is forgotten, too."""
        if self.device.type == "cpu":
            return None
        peak: int = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak

    def more(self) -> dict[str, Callable[[], Reply]]:
        """Nothing."""
        return {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    serve(TorchEager(parser.parse_args().device))
