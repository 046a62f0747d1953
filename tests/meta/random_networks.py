"""Networks and losses put together at random out of parts that estimators may get wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

WIDTH = 8
CLASSES = 4
LENGTH = 3

Blocks = dict[str, Callable[[], nn.Module]]


class _Block(nn.Module):
    """A linear layer and a function of (module, rows [N, WIDTH]) that may call it."""

    def __init__(self, change: Callable[[Any, Tensor], Tensor], **parts: nn.Module | Tensor) -> None:
        super().__init__()
        self.inner, self._change = nn.Linear(WIDTH, WIDTH), change
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            elif part.requires_grad:
                self.register_parameter(name, nn.Parameter(part.detach()))
            else:
                self.register_buffer(name, part)

    def forward(self, h: Tensor) -> Tensor:
        return self._change(self, h)

    def body(self, h: Tensor) -> Tensor:
        return torch.tanh(self.inner(h))


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


def _attention(block: Any, h: Tensor) -> Tensor:
    tokens = h.view(len(h), 2, WIDTH // 2)
    query, key, value = (part.view_as(tokens) for part in (block.inner(h), h, block.other(h)))
    return functional.scaled_dot_product_attention(query, key, value).flatten(1)


def _straight_through(block: Any, h: Tensor) -> Tensor:
    out = block.body(h)
    return out + ((4 * out).round() / 4 - out).detach()


def _hooked(block: Any, h: Tensor) -> Tensor:
    out = block.body(h)
    if out.requires_grad:
        out.register_hook(lambda gradient: 0.3 * gradient)
    return h + out


def _sorted(block: Any, h: Tensor) -> Tensor:
    order = h.detach().norm(dim=1).argsort()
    return block.body(h[order])[order.argsort()]


def _regrouped(block: Any, h: Tensor) -> Tensor:
    parts = h.view(len(h), 2, -1).transpose(0, 1).reshape(2 * len(h), -1)
    parts = block.body(torch.cat([parts, parts], dim=1))
    return parts.view(2, len(h), WIDTH).sum(dim=0)


def _slope(block: Any, h: Tensor) -> Tensor:
    with torch.enable_grad():
        x = h if h.requires_grad else h.detach().requires_grad_()
        (slope,) = torch.autograd.grad(block.body(x).square().sum(), x, create_graph=True)
    return h + slope


def _class_token(block: Any, h: Tensor) -> Tensor:
    tokens = torch.cat([block.token.expand(len(h), 1, WIDTH), h.unsqueeze(1)], dim=1)
    return functional.scaled_dot_product_attention(block.inner(tokens), tokens, tokens)[:, 0]


def _moving_mean(block: Any, h: Tensor) -> Tensor:
    block.mean.mul_(0.9).add_(0.1 * h.detach().mean(dim=0))
    return block.body(h - block.mean)


def _counting(block: Any, h: Tensor) -> Tensor:
    block.count = block.count + 1  # assigned, where others write in place
    return h + (1 - 0.5**block.count) * block.body(h)


def _weight_normed(block: Any, h: Tensor) -> Tensor:
    return functional.linear(h, block.scale * functional.normalize(block.inner.weight, dim=1))


def _in_bfloat16(block: Any, h: Tensor) -> Tensor:
    low = functional.linear(h.bfloat16(), block.inner.weight.bfloat16(), block.inner.bias.bfloat16())
    return h + torch.tanh(low).to(h.dtype)


def _in_place(block: Any, h: Tensor) -> Tensor:
    out = block.inner(h)
    out += h
    return out.relu_()


def _half_trained(block: Any, h: Tensor) -> Tensor:
    return block.frozen(block.body(h))


def _scale() -> Tensor:
    return torch.ones(WIDTH, requires_grad=True)


def _of(change: Callable[[Any, Tensor], Tensor], **parts: Callable[[], Any]) -> Callable[[], nn.Module]:
    return lambda: _Block(change, **{name: make() for name, make in parts.items()})


def _linear() -> nn.Module:
    return nn.Linear(WIDTH, WIDTH)


PLAIN: Blocks = {
    "linear": _of(lambda block, h: block.body(h)),
    "relu": _of(lambda block, h: block.inner(h).relu()),
    "layer_norm": lambda: nn.LayerNorm(WIDTH),
    "group_norm": lambda: nn.GroupNorm(2, WIDTH),
    "residual": _of(lambda block, h: h + block.body(h)),
    "attention": _of(_attention, other=_linear),
    "in_place": _of(_in_place),
    "checkpoint": _of(lambda block, h: h + checkpoint(block.body, h, use_reentrant=False)),
    "twice": _of(lambda block, h: block.body(block.body(h))),
    "unused": _of(lambda block, h: block.body(h), unused=_linear),
}
STOPS: Blocks = {
    "detached": _of(lambda block, h: block.body(h) + 0.5 * h.detach()),
    "detached_body": _of(lambda block, h: h + block.body(h).detach()),
    "no_grad_factor": _of(lambda block, h: h * _without_gradient(block, h)),
    "straight_through": _of(_straight_through),
    "reversal": _of(lambda block, h: h + block.body(_Reverse.apply(h))),
    "hook": _of(_hooked),
    "frozen": _of(_half_trained, frozen=lambda: nn.Linear(WIDTH, WIDTH).requires_grad_(requires_grad=False)),
}
ROWS: Blocks = {
    "sorted": _of(_sorted),
    "flipped": _of(lambda block, h: block.body(h.flip(0)).flip(0)),
    "flipped_residual": _of(lambda block, h: h + 0.3 * block.body(h).flip(0)),
    "regrouped": _of(_regrouped),
}
BATCH: Blocks = {
    "batch_norm": lambda: nn.BatchNorm1d(WIDTH),
    "centred": _of(lambda block, h: block.body(h - h.mean(dim=0))),
    "centred_detached": _of(lambda block, h: block.body(h - h.mean(dim=0).detach())),
    "divided": _of(lambda block, h: 4 * block.body(h) / len(h)),
    "cumsum": _of(lambda block, h: block.body(h.cumsum(dim=0) / 4)),
    "batch_softmax": _of(lambda block, h: 4 * block.body(h).softmax(dim=0)),
    "weak_coupling": _of(lambda block, h: block.body(h - 1e-3 * h.mean(dim=0))),
}
HELD: Blocks = {
    "class_token": _of(_class_token, token=_scale),
    "scale": _of(lambda block, h: block.scale * block.body(h), scale=_scale),
    "bias_table": _of(
        lambda block, h: h + block.table[h.argmax(dim=1)],
        table=lambda: torch.randn(WIDTH, WIDTH).requires_grad_(),
    ),
    "transposed": _of(lambda block, h: torch.tanh(block.inner(h)) @ block.inner.weight),
    "weight_normed": _of(_weight_normed, scale=lambda: torch.ones(WIDTH, 1, requires_grad=True)),
    "parametrised": lambda: weight_norm(nn.Linear(WIDTH, WIDTH)),
    "moving_mean": _of(_moving_mean, mean=lambda: torch.zeros(WIDTH)),
    "counting": _of(_counting, count=lambda: torch.zeros(())),
}
INSIDE: Blocks = {
    "float32": _of(lambda block, h: h + functional.normalize(block.body(h).float(), dim=1).to(h.dtype)),
    "bfloat16": _of(_in_bfloat16),
    "slope": _of(_slope),
    "dropout": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.3)),
}
BLOCKS: Blocks = {**PLAIN, **STOPS, **ROWS, **BATCH, **HELD, **INSIDE}
LOW_PRECISION = {"bfloat16": torch.bfloat16, "float32": torch.float32}
"""Blocks that compute in less than what they are asked for."""


def _without_gradient(block: Any, h: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.sigmoid(block.inner(h))


class _Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.mix = nn.Embedding(10, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.words(tokens)
        return functional.scaled_dot_product_attention(self.mix(h), h, h).mean(dim=1)


def _image() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(36, WIDTH)
    )


def _signal() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(20, WIDTH))


STEMS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "vector": (lambda: nn.Linear(6, WIDTH), (6,)),
    "image": (_image, (2, 5, 5)),
    "normed_image": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, WIDTH)
        ),
        (2, 5, 5),
    ),
    "signal": (_signal, (2, 5)),
    "tokens": (_Tokens, (LENGTH,)),
}


class Network(nn.Module):
    """A stem, blocks and a head, and where it is asked for a temperature that the loss alone uses."""

    def __init__(self, stem: str, blocks: tuple[str, ...], *, tied: bool, has_temperature: bool) -> None:
        super().__init__()
        self.stem = STEMS[stem][0]()
        made = [BLOCKS[name]() for name in blocks]
        self.blocks = nn.ModuleList([*made, *made[:1]] if tied else made)
        self.head = nn.Linear(WIDTH, CLASSES)
        if has_temperature:
            self.log_temperature = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.head(h)


def _entropy(model: Any, logits: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(logits, y, reduction="none")


def _focal(model: Any, logits: Tensor, y: Tensor) -> Tensor:
    losses = _entropy(model, logits, y)
    return (1 - (-losses.detach()).exp()) ** 2 * losses


def _hardest(model: Any, logits: Tensor, y: Tensor) -> Tensor:
    losses = _entropy(model, logits, y)
    return losses * (losses >= losses.detach().median())


def _batch_softmax(model: Any, logits: Tensor, y: Tensor) -> Tensor:
    losses = _entropy(model, logits, y)
    return losses.softmax(dim=0) * losses


LOSSES: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "cross_entropy": _entropy,
    "focal": _focal,
    "class_counts": lambda model, logits, y: _entropy(model, logits, y) / (y[:, None] == y).sum(dim=1),
    "batch_size": lambda model, logits, y: _entropy(model, logits, y) / len(y),
    "hardest": _hardest,
    "batch_softmax": _batch_softmax,
    "temperature": lambda model, logits, y: _entropy(model, logits * model.log_temperature.exp(), y),
    "large": lambda model, logits, y: 1e5 * _entropy(model, logits, y),
    "small": lambda model, logits, y: 1e-5 * _entropy(model, logits, y),
}


@dataclass(frozen=True)
class Recipe:
    """What a network, its losses and its batches are made of."""

    stem: str
    blocks: tuple[str, ...]
    loss: str
    form: str
    tied: bool
    train_size: int
    meta_size: int
    seed: int

    @property
    def precision(self) -> torch.dtype:
        """The lowest that a part asks for by itself; float64 where none does."""
        kinds = [LOW_PRECISION[name] for name in self.blocks if name in LOW_PRECISION]
        return max(kinds, key=lambda kind: torch.finfo(kind).eps, default=torch.float64)

    def network(self) -> Network:
        """Build the network, the same each time, in float64."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = Network(
                self.stem, self.blocks, tied=self.tied, has_temperature=self.loss == "temperature"
            ).double()
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter += 0.1 * torch.randn_like(parameter)
        return network.train()

    def batches(self, dtype: torch.dtype) -> tuple[Any, Any]:
        """Make a train and a meta batch."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        return self._batch(self.train_size, dtype, generator), self._batch(self.meta_size, dtype, generator)

    def _batch(self, size: int, dtype: torch.dtype, generator: torch.Generator) -> Any:
        shape = (size, *STEMS[self.stem][1])
        x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        if self.stem == "tokens":
            x = torch.randint(10, shape, generator=generator)
        y = torch.randint(CLASSES, (size,), generator=generator)
        if self.form == "pair":
            return x, y
        if self.form == "dict":
            return {"x": x, "y": y, "name": "batch"}
        return {"inputs": [x, {"y": y}], "scale": torch.tensor(2.0), "none": None}

    def losses(self, model: Any, batch: Any) -> Tensor:
        """Compute the losses [B]."""
        if self.form == "pair":
            x, y = batch
        elif self.form == "dict":
            x, y = batch["x"], batch["y"]
        else:
            x, y = batch["inputs"][0], batch["inputs"][1]["y"]
        return LOSSES[self.loss](model, model(x), y)
