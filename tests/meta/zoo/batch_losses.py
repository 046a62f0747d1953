"""Losses that look at their whole batch: contrastive, mined, counted, divided by its size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.meta.zoo.entry import CLASSES, META_SIZE, TRAIN_SIZE, Case, Entry, classified, cross_entropy
from tests.meta.zoo.structure import INPUTS, WIDTH, mlp

Pair = tuple[Tensor, Tensor]


class _TwoTowers(nn.Module):
    """Images and texts in one space, with a learned temperature (CLIP, Radford et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, WIDTH))
        self.words = nn.Embedding(50, WIDTH)
        self.text = mlp(WIDTH, WIDTH)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = functional.normalize(self.image(image), dim=1)
        read = functional.normalize(self.text(self.words(text).mean(dim=1)), dim=1)
        return seen, read, self.logit_scale.exp().clamp(max=100)


def _clip() -> Case:
    def losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        seen, read, scale = model(**batch)
        logits, own = scale * seen @ read.T, torch.arange(len(seen), device=seen.device)
        ways = (functional.cross_entropy(side, own, reduction="none") for side in (logits, logits.T))
        return sum(ways, torch.zeros_like(seen[:, 0])) / 2

    train, meta = (
        {"image": torch.randn(size, 3, 8, 8), "text": torch.randint(50, (size, 5))}
        for size in (TRAIN_SIZE, META_SIZE)
    )
    return Case(_TwoTowers(), losses, train, meta)


def _hardest(model: nn.Module, batch: Pair) -> Tensor:
    losses = cross_entropy(model, batch)
    return losses * (losses >= losses.detach().median())


def _by_class_count(model: nn.Module, batch: Pair) -> Tensor:
    y = batch[1]
    return cross_entropy(model, batch) / (y[:, None] == y).sum(dim=1)


def _by_batch_size(model: nn.Module, batch: Pair) -> Tensor:
    return cross_entropy(model, batch) / len(batch[1])


ENTRIES = {
    "clip": Entry(_clip, coupled=True),
    "hardest_half": Entry(lambda: classified(mlp(), INPUTS, losses=_hardest), coupled=True),
    "class_counts": Entry(
        lambda: classified(mlp(outputs=3), INPUTS, losses=_by_class_count, classes=3), coupled=True
    ),
    "batch_size_and_rare_dropout": Entry(
        lambda: classified(mlp(INPUTS, CLASSES, nn.Dropout(0.001)), INPUTS, losses=_by_batch_size),
        coupled=True,
        random=True,
    ),
}
