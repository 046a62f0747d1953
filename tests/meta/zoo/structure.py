"""Small networks that are put together in unusual ways: several inputs, shared parts, moved rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

from tests.meta.zoo.entry import CLASSES, META_SIZE, TRAIN_SIZE, Case, Entry, classified, cross_entropy

INPUTS = 12
WIDTH = 16
GROUP = 4


def mlp(inputs: int = INPUTS, outputs: int = CLASSES, *middle: nn.Module) -> nn.Sequential:
    """Two linear layers with tanh, and what is given in between."""
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.Tanh(), *middle, nn.Linear(WIDTH, outputs))


class _ImageAndTable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.table = nn.Linear(INPUTS, WIDTH)
        self.head = nn.Linear(16 + WIDTH, CLASSES)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(image), torch.tanh(self.table(table))], dim=1))


def _image_and_table() -> Case:
    def losses(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        logits = model(**batch["inputs"])
        return functional.cross_entropy(logits, batch["label"], reduction="none")

    def made(size: int) -> dict[str, Any]:
        inputs = {"image": torch.randn(size, 3, 8, 8), "table": torch.randn(size, INPUTS)}
        return {"inputs": inputs, "label": torch.randint(CLASSES, (size,))}

    return Case(_ImageAndTable(), losses, made(TRAIN_SIZE), made(META_SIZE))


class _TwoHeads(nn.Module):
    """A class and a value from one trunk, with their log variances (Kendall et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = mlp(outputs=WIDTH)
        self.heads = nn.ModuleList([nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, 1)])
        self.log_variances = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.tanh(self.trunk(x))
        return self.heads[0](h), self.heads[1](h).squeeze(1), self.log_variances


def _two_tasks() -> Case:
    def losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        logits, value, log_variances = model(batch["x"])
        of_class = functional.cross_entropy(logits, batch["label"], reduction="none")
        of_value = functional.mse_loss(value, batch["value"], reduction="none")
        precisions = (-log_variances).exp()
        return precisions[0] * of_class + 0.5 * precisions[1] * of_value + 0.5 * log_variances.sum()

    def made(size: int) -> dict[str, Tensor]:
        x = torch.randn(size, INPUTS)
        return {"x": x, "label": torch.randint(CLASSES, (size,)), "value": torch.randn(size)}

    return Case(_TwoHeads(), losses, made(TRAIN_SIZE), made(META_SIZE))


class _RMSNorm(nn.Module):
    """Normalises in float32 whatever it is given, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        h = h * torch.rsqrt(h.square().mean(dim=-1, keepdim=True) + 1e-6)
        return self.weight * h.to(x.dtype)


class _Force(nn.Module):
    """The slope of an energy in the inputs, as in models of molecules."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = mlp(outputs=1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
        return -slope


def _force() -> Case:
    def losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return (model(batch[0]) - batch[1]).square().mean(dim=1)

    train, meta = ((torch.randn(n, INPUTS), torch.randn(n, INPUTS)) for n in (TRAIN_SIZE, META_SIZE))
    return Case(_Force(), losses, train, meta)


class _Counting(nn.Module):
    """Opens a branch step by step, by a count of its own forwards."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.main, self.branch = mlp(), mlp()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        self.steps += 1
        return self.main(x) + (1 - 0.5**self.steps) * self.branch(x)


class _Experts(nn.Module):
    """Sends each example to the expert that the router likes best, scaled by its probability."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(INPUTS, 3)
        self.experts = nn.ModuleList(mlp() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        share, chosen = self.router(x).softmax(dim=1).max(dim=1)
        out = x.new_zeros(len(x), CLASSES)
        for number, expert in enumerate(self.experts):
            rows = (chosen == number).nonzero().squeeze(1)
            out = out.index_add(0, rows, share[rows, None] * expert(x[rows]))
        return out


class _Tied(nn.Module):
    """A layer used twice and another by its transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(INPUTS, INPUTS)
        self.outer = nn.Linear(INPUTS, CLASSES)
        self.back = nn.Linear(CLASSES, INPUTS, bias=False)
        self.back.weight = nn.Parameter(self.outer.weight.detach().T.clone())
        self.last = nn.Linear(INPUTS, CLASSES)
        self.last.weight = self.outer.weight

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.inner(torch.tanh(self.inner(x))))
        h = torch.tanh(self.back(torch.tanh(self.outer(h))))
        return self.last(h) + functional.linear(h, self.outer.weight)


class _Checkpointed(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, WIDTH)
        self.block = mlp(WIDTH, WIDTH, nn.Dropout(dropout))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.head(h + checkpoint(self.block, h, use_reentrant=False))


class _MovedRows(nn.Module):
    """Runs a network on rows in another order, and puts its outputs back."""

    def __init__(self, order: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = mlp()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        order = self.order(x)
        return self.body(x[order])[order.argsort()]


def _flipped(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device).flip(0)


def _by_length(x: Tensor) -> Tensor:
    return x.norm(dim=1).argsort()


class _Regrouped(nn.Module):
    """Runs a network on the parts of all examples, the first parts first."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(INPUTS // GROUP)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.reshape(len(x), GROUP, -1).transpose(0, 1).reshape(GROUP * len(x), -1)
        return self.body(parts).reshape(GROUP, len(x), CLASSES).mean(dim=0)


def _learned_criterion() -> Case:
    """Center loss (Wen et al. 2016): the criterion's own centres are trained, but not scored by."""
    centres = nn.Parameter(torch.randn(CLASSES, CLASSES))

    def losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        logits = model(x)
        distances = (logits - centres.to(logits)[y]).square().sum(dim=1)
        return functional.cross_entropy(logits, y, reduction="none") + 0.1 * distances

    return classified(mlp(), INPUTS, losses=losses)


def _per_row(make: Callable[[], nn.Module], **facts: bool) -> Entry:
    return Entry(lambda: classified(make(), INPUTS, losses=cross_entropy), **facts)


ENTRIES = {
    "image_and_table": Entry(_image_and_table),
    "two_tasks": Entry(_two_tasks),
    "float32_rms_norm": _per_row(lambda: mlp(INPUTS, CLASSES, _RMSNorm()), single_inside=True),
    "weight_norm": _per_row(lambda: mlp(INPUTS, CLASSES, weight_norm(nn.Linear(WIDTH, WIDTH)))),
    "gradient_inside_forward": Entry(_force),
    "step_counter": _per_row(_Counting),
    "mixture_of_experts": _per_row(_Experts),
    "tied_weights": _per_row(_Tied),
    "checkpointed": _per_row(partial(_Checkpointed, 0.0)),
    "checkpointed_dropout": _per_row(partial(_Checkpointed, 0.3), random=True),
    "batch_norm_mlp": _per_row(lambda: mlp(INPUTS, CLASSES, nn.BatchNorm1d(WIDTH)), coupled=True),
    "flipped_rows": _per_row(partial(_MovedRows, _flipped)),
    "sorted_rows": _per_row(partial(_MovedRows, _by_length)),
    "regrouped_rows": _per_row(_Regrouped),
    "learned_criterion": Entry(_learned_criterion),
}
